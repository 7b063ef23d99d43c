"""What stands beside the weights in a checkpoint never hinders them, and is never run."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import logging
import pathlib
import pickle
import re
import types
import uuid
from pathlib import Path

import numpy as np
import pytest
from pickle_bytes import (
    FOUR,
    call,
    name,
    state,
    storage,
    tensor,
    torch_legacy,
    torch_zip,
    value,
    whole,
)

from paddle_resnet.errors import WeightsError
from paddle_resnet.weights import load_weights, open_weights

FIXTURES = Path(__file__).with_name("fixtures") / "companions"


class Phase(enum.Enum):
    TRAIN = "train"


class Flag(enum.IntFlag):
    FAST = 1


@dataclasses.dataclass
class Recipe:
    rate: float = 0.1


class Slots:
    __slots__ = ("rate",)


class NewArguments:
    def __new__(cls, *, rate):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"rate": 1}


Row = collections.namedtuple("Row", "epoch loss")


class Meters(dict):
    """As EasyDict and its kin are: entries that are attributes, too."""


class Steps(list):
    pass


class Early(collections.OrderedDict):
    pass


SLOTS = Slots()
SLOTS.rate = 1

COMPANIONS = {
    "Counter of MultiStepLR": {"milestones": collections.Counter({30: 1, 60: 1}), "gamma": 0.1},
    "defaultdict": collections.defaultdict(list, a=[1]),
    "OrderedDict of another class": Early(a=1),
    "deque": collections.deque([1, 2], 5),
    "ChainMap": collections.ChainMap({"a": 1}),
    "datetime": datetime.datetime(2024, 5, 1, 12, 30),
    "datetime with a zone": datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc),
    "date": datetime.date(2024, 5, 1),
    "timedelta": datetime.timedelta(hours=1),
    "path": pathlib.PurePosixPath("/data/photos"),
    "path of Windows": pathlib.PureWindowsPath("C:\\photos"),
    "enum": Phase.TRAIN,
    "enum of numbers": Flag.FAST,
    "partial": functools.partial(int, base=2),
    "partial of a class": functools.partial(Recipe, rate=1),
    "function": re.compile,
    "built-in function": len,
    "class": Recipe,
    "type": type,
    "dataclass": Recipe(),
    "object with slots": SLOTS,
    "object made by keywords": NewArguments(rate=1),
    "named tuple": Row(1, 0.5),
    "kind of dict": Meters(loss=[1.0], best={"acc": 2}),
    "kind of list": Steps([1, 2]),
    "Namespace": argparse.Namespace(lr=0.1, when=datetime.date(2024, 1, 1), root=Path("x")),
    "SimpleNamespace": types.SimpleNamespace(a=1),
    "set": {1, 2},
    "set of objects": {Phase.TRAIN, Path("a")},
    "frozenset": frozenset({"a"}),
    "complex": 1j,
    "range": range(3),
    "slice": slice(1, 2),
    "bytes": b"\xff\0",
    "bytearray": bytearray(b"ab"),
    "big integer": 2**200,
    "decimal": decimal.Decimal("0.1"),
    "fraction": fractions.Fraction(1, 3),
    "uuid": uuid.UUID(int=1),
    "pattern": re.compile("layer.*"),
    "logger": logging.getLogger("a"),
    "exception": ValueError("it was NaN"),
    "numpy scalar": np.float64(0.5),
    "numpy dtype": np.dtype("float32"),
    "numpy function": np.mean,
    "keys that are classes": {Recipe: {"best": 1.0}, int: 2},
    "keys that are enums": {Phase.TRAIN: 1, Flag.FAST: 2},
    "keys that are tuples": {("conv", 1): 1, (): 2},
    "keys that are floats": {0.5: 1},
    "keys that are paths": {Path("a"): 1},
    "keys that are dates": {datetime.date(2024, 1, 1): 1},
    "keys that are huge numbers": {2**70: 1, -(2**70): 2},
    "keys that are frozensets": {frozenset({1}): 1},
    "nested": [({"a": [Row(1, Path("x"))]}, None)],
}
FILES = sorted(path.stem for path in FIXTURES.glob("*.pkl"))


@pytest.fixture
def opened(tmp_path):
    def open_(content):
        (tmp_path / "x.pth").write_bytes(content)
        return open_weights(tmp_path / "x.pth")

    return open_


def is_whole(contents):
    return {n: a.tolist() for n, a in contents.arrays.items()} == {"w": [[1, 2], [3, 4]]}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("company", COMPANIONS.values(), ids=COMPANIONS)
def test_python_s_own_pickler(company, protocol, opened):
    """Not by hand: as a script that calls pickle.dump leaves it, in every protocol."""
    weights = {"w": np.array([[1, 2], [3, 4]], np.float32)}
    try:
        content = pickle.dumps(
            {"epoch": 3, "company": company, "model": weights, "after": [company]}, protocol
        )
    except TypeError:
        pytest.skip("this protocol cannot write it")
    assert is_whole(opened(content))


@pytest.mark.parametrize("company", COMPANIONS.values(), ids=COMPANIONS)
def test_torch_files(company, opened):
    things = {"model": state(w=tensor()), "company": value(company)}
    assert is_whole(opened(torch_zip(state(**things))))
    assert is_whole(opened(torch_legacy(state(**things))))


@pytest.mark.parametrize("file", FILES)
def test_what_other_packages_pickle(file, opened):
    company = (FIXTURES / f"{file}.pkl").read_bytes()[2:-1]
    beside = state(company=company, model=state(w=tensor()))
    assert is_whole(opened(torch_zip(beside)))
    within = opened(torch_zip(state(company=company, w=tensor())))
    assert is_whole(within)
    assert "company" in within.ignored


def test_there_are_files_of_other_packages():
    assert {"easydict", "omegaconf", "yacs", "pandas", "numpy_generator"} <= set(FILES)


@pytest.mark.parametrize("kind", ["ComplexFloatStorage", "QInt8Storage", "UntypedStorage"])
def test_tensors_of_numbers_that_no_network_of_ours_has(kind, opened):
    other = call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(kind, key="1", count=2),
        *(value(0), value((2,)), value((1,)), value(False), value({})),
    )
    files = [("data/0", FOUR), ("data/1", bytes(16))]
    assert is_whole(opened(torch_zip(state(optimizer=other, model=state(w=tensor())), files)))
    within = opened(torch_zip(state(w=tensor(), scale=other), files))
    assert is_whole(within)
    assert kind in within.ignored["scale"]


def test_old_lightning_s_callbacks_have_classes_as_keys(opened):
    checkpoint = name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    callbacks = b"}" + checkpoint + value({"best_model_score": 1.0}) + b"s"
    contents = opened(torch_zip(state(callbacks=callbacks, state_dict=state(w=tensor()))))
    assert is_whole(contents)
    assert "ModelCheckpoint" in " ".join(contents.notes)


@pytest.mark.parametrize("around", ["easydict.EasyDict", "collections.UserDict", "mmengine.Config"])
def test_a_state_dict_in_a_kind_of_dict_is_found(around, opened):
    module, _, kind = around.rpartition(".")
    made = name(module, kind) + b")\x81"
    contents = opened(torch_zip(made + b"(" + value("model") + state(w=tensor()) + b"u"))
    assert is_whole(contents)
    contents = opened(torch_zip(made + b"(" + value("w") + tensor() + b"u"))
    assert is_whole(contents)


def test_the_notes_name_what_was_left_alone(opened):
    company = {"a": collections.Counter(), "b": datetime.date(2024, 1, 1)}
    contents = opened(torch_zip(state(model=state(w=tensor()), company=value(company))))
    note = next(note for note in contents.notes if note.startswith("left alone"))
    assert "collections.Counter" in note
    assert "datetime.date" in note


@pytest.mark.parametrize(
    ("opcodes", "said"),
    [
        (value(collections.Counter({"a": 1})), "it holds an object of collections.Counter"),
        (state(model=value(Path("x"))), "its entry 'model' is an object of pathlib.PosixPath"),
        (state(a=value(Path("x")), b=value(1)), "it asks for pathlib.PosixPath. Nothing of it"),
        (state(w=value(Phase.TRAIN)), "it asks for test_companions.Phase. Nothing"),
    ],
)
def test_without_weights_the_sentence_says_what_there_is(opcodes, said, tmp_path):
    (tmp_path / "x").write_bytes(whole(opcodes))
    with pytest.raises(WeightsError) as caught:
        open_weights(tmp_path / "x")
    assert said in str(caught.value)


def test_a_module_in_modules_without_end_is_answered_at_once(opened):
    """A hundred modules, each twice in the one before: 2**100 names."""
    module = name("m", "M") + b")\x81"
    opcodes = module + b"q\x000"
    for _ in range(100):
        inner = b"h\x00"
        modules = b"}(" + value("a") + inner + value("b") + inner + b"u"
        opcodes += module + state(_modules=modules, _parameters=state(), _buffers=state())
        opcodes += b"bq\x000"
    opcodes += b"h\x00"
    with pytest.raises(WeightsError, match=r"an object of m\.M and no state dict"):
        opened(whole(opcodes))


def test_a_module_in_itself_is_answered_at_once(opened):
    opcodes = name("m", "M") + b")\x81q\x00" + state(_modules=b"}" + value("a") + b"h\x00s") + b"b"
    with pytest.raises(WeightsError, match="no state dict"):
        opened(whole(opcodes))


def test_a_whole_network_beside_its_state_dict(opened):
    """The plain state dict wins, wherever it stands."""
    module = (
        name("m", "M") + b")\x81" + state(_modules=state(), _parameters=state(v=tensor())) + b"b"
    )
    assert is_whole(opened(torch_zip(state(ema=module, state_dict=state(w=tensor())))))
    contents = opened(torch_zip(state(model=module)))
    assert list(contents.arrays) == ["v"]


def test_buffers_that_are_not_persistent_stay_out(opened):
    parts = state(
        _parameters=state(w=tensor()),
        _buffers=state(grid=tensor()),
        _non_persistent_buffers_set=value({"grid"}),
        _modules=state(),
    )
    assert is_whole(opened(torch_zip(name("m", "M") + b")\x81" + parts + b"b")))


def test_the_report_shows_it(tmp_path):
    from paddle import nn

    weights = {"weight": np.ones((2, 2), np.float32), "bias": np.ones(2, np.float32)}
    company = {"model": weights, "when": datetime.datetime(2024, 1, 1)}
    (tmp_path / "x").write_bytes(pickle.dumps(company))
    text = str(load_weights(nn.Linear(2, 2), tmp_path / "x", origin="paddle"))
    assert "left alone beside the weights: datetime.datetime" in text
