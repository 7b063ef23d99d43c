"""Checkpoints: what is written is read, whatever it is, and what is damaged is told."""

import json
import random
import struct

import numpy as np
import pytest
from checkpoint_fuzz import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paddle_resnet.errors import WeightsError
from paddle_resnet.runs.checkpoint_file import (
    CorruptCheckpoint,
    OldCheckpoint,
    checkpoint_bytes,
    load_checkpoint,
    write_checkpoint,
)
from paddle_resnet.runs.checkpoint_folder import CheckpointFolder

DTYPES = ["<f8", ">f4", "<f2", "<i8", "<i4", ">i2", "|i1", "|u1", "<u2", "<u4", "<u8", "|b1"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
KEYS = st.text(max_size=8).filter(lambda key: key != "$array")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | ARRAYS
STATES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.shape == b.shape
            and a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
            and a.astype(b.dtype).tobytes() == b.tobytes()
        )
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(max_examples=150, deadline=None)
@given(STATES)
def test_any_state_comes_back_as_it_was(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("c") / "x.safetensors"
    write_checkpoint(path, state)
    assert same(state, load_checkpoint(path).state)
    assert path.read_bytes() == checkpoint_bytes(state)


def test_names_that_look_like_places_do_not_collide(tmp_path):
    state = {"a": {"b": np.zeros(1)}, "a/b": np.ones(1), "": {"a/b": np.full(1, 2.0)}}
    write_checkpoint(tmp_path / "x", state)
    assert same(state, load_checkpoint(tmp_path / "x").state)


@pytest.mark.parametrize(
    "value", [{1: 2}, {"$array": 1}, np.array(["text"]), np.array([None]), {1, 2}, object()]
)
def test_what_no_checkpoint_can_hold_is_told_when_it_is_written(value, tmp_path):
    with pytest.raises(TypeError):
        write_checkpoint(tmp_path / "x", {"state": value})
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path):
    content = checkpoint_bytes({"weights": np.arange(20.0), "epoch": 3})
    path = tmp_path / "x"
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptCheckpoint):
            load_checkpoint(path)
        path.write_bytes(content[:place])
        with pytest.raises(CorruptCheckpoint):
            load_checkpoint(path)


def test_no_file_and_no_right_to_read_it(tmp_path):
    with pytest.raises(WeightsError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_checkpoint(tmp_path)


def test_the_last_few_are_kept_and_the_newest_is_found(tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "c", keep=3)
    assert checkpoints.newest(print) is None
    for step in (5, 10, 15, 1_000_000_000):
        checkpoints.write(step, {"step": step})
    assert [path.name for path in checkpoints.files()] == [
        "step-1000000000.safetensors", "step-00000015.safetensors", "step-00000010.safetensors",
    ]  # fmt: skip
    newest = checkpoints.newest(print)
    assert newest.state == {"step": 1_000_000_000}
    assert newest.path == checkpoints.files()[0]


def test_a_damaged_one_is_set_aside_and_the_one_before_is_used(tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "c", keep=2)
    for step in (5, 10):
        checkpoints.write(step, {"step": step})
    newest = checkpoints.files()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    said = []
    assert checkpoints.newest(said.append).state == {"step": 5}
    assert len(said) == 1
    assert "step-00000010" in said[0]
    assert "Resuming from the one before, 'step-00000005.safetensors'" in said[0]
    # It does not count any more among those that are kept.
    checkpoints.write(7, {"step": 7})
    assert [path.name[5:13] for path in checkpoints.files()] == ["00000007", "00000005"]


@pytest.mark.parametrize("count", [1, 2])
def test_one_that_cannot_be_read_is_no_end_of_the_run(tmp_path, count):
    """A broken disk answers with an error, as a folder does that stands in the file's place."""
    checkpoints = CheckpointFolder(tmp_path / "c", keep=9)
    for step in (5, 10, 15):
        checkpoints.write(step, {"step": step})
    for path in checkpoints.files()[:count]:
        path.unlink()
        path.mkdir()
    lines = []
    assert checkpoints.newest(lines.append).state == {"step": 15 - 5 * count}
    assert len(lines) == count
    assert all("cannot be read" in line for line in lines)
    assert len(checkpoints.files()) == 3 - count
    assert len(list(checkpoints.folder.glob("*.corrupt"))) == count


def test_a_checkpoint_of_an_older_format_is_one_sentence(tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "c")
    path = checkpoints.write(5, {"step": 5})
    path.write_bytes(path.read_bytes().replace(b"checkpoint 2", b"checkpoint 1"))
    with pytest.raises(OldCheckpoint) as error:
        checkpoints.newest(print)
    sentence = str(error.value)
    assert "written by an older version" in sentence
    assert "paddle-resnet predict" in sentence
    assert len(sentence.splitlines()) == 1
    assert checkpoints.files() == [path]  # it is not set aside: it is whole


def test_where_all_are_damaged_that_is_said_and_they_stay(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, keep=2)
    for step in (5, 10):
        checkpoints.write(step, {})
        checkpoints.files()[0].write_bytes(b"")
    with pytest.raises(CorruptCheckpoint, match=r"no checkpoint is left .* corrupt"):
        checkpoints.newest(print)
    assert len(checkpoints.files()) == 2


def test_a_header_that_lies_costs_no_memory(tmp_path):
    header = json.dumps({"a": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}})
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    with pytest.raises(CorruptCheckpoint):
        load_checkpoint(tmp_path / "x")
    (tmp_path / "x").write_bytes(struct.pack("<Q", 2**63) + b"{" * 100)
    with pytest.raises(CorruptCheckpoint):
        load_checkpoint(tmp_path / "x")


@pytest.mark.parametrize(
    "inputs", [400, pytest.param(5000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_mutated_checkpoints_are_typed_errors_or_harmless(tmp_path, inputs):
    counts = fuzz(inputs, random.Random(inputs), tmp_path)
    assert sum(counts.values()) == inputs
    assert counts["others"] == 0, counts
    assert counts["typed errors"] > 0.7 * inputs
