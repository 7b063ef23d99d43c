"""No weights file runs anything, whatever it holds: see `payloads.py`, which prints the table."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import payloads
import pytest
from pickle_bytes import array, safetensors, state, tensor, torch_legacy, torch_zip, whole

from paddle_resnet.errors import WeightsError
from paddle_resnet.weights import open_weights

KINDS = (
    "code",
    "beside",
    "bomb",
    "name",
    "array",
    "tensor",
    "zip",
    "legacy",
    "safe",
    "file",
    "cut",
)


#: The weights beside which a payload stands.
WEIGHTS = "LOADED {'w': [[1.0, 2.0], [3.0, 4.0]]}"
#: Of the payloads by themselves, the one that has weights behind it.
LOADS = "call whose result is thrown away"
#: What no unpickler needs for data, so that the whole file is refused.
REFUSED_ANYWHERE = (
    "BUILD on a class, to change it",
    "EXT1: a name by number",
    "PERSID in text",
    "NEXT_BUFFER: bytes from elsewhere",
    "call of a string",
    "name that is a list of lists of lists",
)


@pytest.fixture(scope="module")
def table(warm_python):
    script = Path(payloads.__file__)
    package = Path(open_weights.__code__.co_filename).parents[2]
    paths = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [warm_python, str(script), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_and_every_answer_is_a_sentence(kind, table):
    rows = [row for row in table if row[0].startswith(f"{kind}_")]
    assert rows
    for file, tries, answer, executed, _ in rows:
        assert not executed, f"{file}: {tries}"
        if tries == LOADS and answer == WEIGHTS:
            continue
        if kind == "beside" and not tries.startswith(REFUSED_ANYWHERE):
            assert answer == WEIGHTS, f"{file}: {tries}: {answer}"
            continue
        assert not answer.startswith(("LOADED", "RAISED")), f"{file}: {tries}: {answer}"
        assert "MemoryError" not in answer, f"{file}: {tries}: {answer}"
        assert answer.endswith((".", ")")), answer
        assert len(answer) < 500, answer


def test_there_are_many_shapes(table):
    tried = {row[1] for row in table if not row[0].startswith("cut_")}
    assert len(tried) > 150


#: Reads each file as Python does, and says which of them made the canary.
CONTROL = """
import pathlib, pickle, sys, time
canary = pathlib.Path(sys.argv[1])
for path in sys.argv[2:]:
    try:
        pickle.load(open(path, "rb"))
    except BaseException:
        pass
    end = time.monotonic() + 3  # some start a process and do not wait for it
    while not canary.exists() and time.monotonic() < end:
        time.sleep(0.01)
    print("CANARY", path, canary.exists())
    canary.unlink(missing_ok=True)
"""


def test_the_payloads_are_live(tmp_path):
    """The control: Python's own unpickler runs what ours refuses."""
    canary, paths = str(tmp_path / "canary"), {}
    for i, (what, opcodes) in enumerate(payloads.code_payloads(canary).items()):
        if what in payloads.FIRES:
            paths[what] = str(tmp_path / str(i))
            Path(paths[what]).write_bytes(whole(opcodes))
    assert len(paths) == len(payloads.FIRES)
    command = [sys.executable, "-W", "ignore", "-c", CONTROL, canary, *paths.values()]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    assert [what for what, path in paths.items() if f"CANARY {path} True" not in said] == []


SOUND = {
    "paddle": whole(state(w=array())),
    "numpy 2": whole(state(w=array(core="numpy._core"))),
    "torch zip": torch_zip(),
    "torch legacy": torch_legacy(),
    "safetensors": safetensors(
        '{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', array()[-20:-4]
    ),
}


@pytest.mark.parametrize("kind", [k for k in SOUND if k != "safetensors"])
def test_the_sound_originals_load(kind, tmp_path):
    (tmp_path / "sound").write_bytes(SOUND[kind])
    arrays = open_weights(tmp_path / "sound").arrays
    assert arrays["w"].tolist() == [[1, 2], [3, 4]]


def test_members_named_after_a_file_with_colons_and_dots_load(tmp_path):
    """torch calls the folder in the zip as the file was called: here ``12:30...pth``."""
    (tmp_path / "sound").write_bytes(torch_zip().replace(b"archive/", b"12:30../"))
    assert open_weights(tmp_path / "sound").arrays["w"].shape == (2, 2)


@pytest.mark.parametrize("kind", SOUND)
def test_damaged_bytes_never_raise_anything_else(kind, tmp_path):
    content, path = SOUND[kind], tmp_path / "damaged"
    for place in range(len(content)):
        for change in (1, 128, 255):
            byte = bytes([content[place] ^ change])
            path.write_bytes(content[:place] + byte + content[place + 1 :])
            with suppress(WeightsError):
                open_weights(path)


def test_a_tensor_is_read_as_it_was_meant(tmp_path):
    turned = tensor(offset=0, size=(2, 2), stride=(1, 2))
    part = tensor(offset=1, size=(2,), stride=(2,))
    (tmp_path / "x").write_bytes(torch_zip(state(turned=turned, part=part)))
    arrays = open_weights(tmp_path / "x").arrays
    assert arrays["turned"].tolist() == [[1, 3], [2, 4]]
    assert arrays["part"].tolist() == [2, 4]
