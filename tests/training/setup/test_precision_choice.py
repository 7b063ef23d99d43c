"""`train.precision: auto`: measured, kept, and without a trace in what is trained."""

import dataclasses
import json
import shutil

import numpy as np
import paddle
import pytest

from paddle_resnet import cpu_runtime, kernels
from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.data.splits import load_splits
from paddle_resnet.layers import BasicBlock
from paddle_resnet.models import ResNet
from paddle_resnet.models.precision import Precision
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.training.setup import precision_choice
from paddle_resnet.training.setup.build_model import build_model
from paddle_resnet.training.setup.resolve import resolve
from paddle_resnet.weights import read_weights

SMALL = [
    "model.name=resnet18", "model.options.widths=[8,8,16,16]", "data.root=sample",
    "data.max_train_images=64", "data.validation=0", "test.weights=last", "train.batch_size=16",
    "train.eval_batch_size=100", "optimizer.lr=0.01", "train.budget=null", "train.epochs=1",
    "run.report=false", "run.visualdl=false",
]  # fmt: skip


@pytest.fixture
def choices(tmp_path, monkeypatch):
    """A folder of choices that starts empty."""
    folder = tmp_path / "choices"
    monkeypatch.setattr(precision_choice, "choices_folder", lambda: folder)
    return folder


@pytest.fixture
def units(monkeypatch, choices):
    """A CPU with bfloat16 units, whatever this one is: oneDNN emulates them."""
    monkeypatch.setattr(cpu_runtime, "has_bfloat16_units", lambda: True)


def train(folder, *overrides):
    line = ["train", "-o", f"run.dir={folder.parent}", "-o", f"run.name={folder.name}"]
    for override in [*SMALL, *overrides]:
        line += ["-o", override]
    with kernels.use("require"):
        assert main(line) == 0
    return RunFolder(folder)


@pytest.mark.parametrize("slow", ["float32", "bfloat16"])
def test_the_slower_one_is_not_taken(tmp_path, monkeypatch, units, slow):
    real = precision_choice.step_seconds
    measured = []

    def planted(network, images, labels, precision):
        seconds = real(network, images, labels, precision)
        measured.append((precision.dtype, len(images)))
        return seconds + (1000 if precision.dtype == slow else 0)

    monkeypatch.setattr(precision_choice, "step_seconds", planted)
    folder = train(tmp_path / "a")
    other = {"float32": "bfloat16", "bfloat16": "float32"}[slow]
    assert folder.read_config().train.precision == other
    assert f"precision: {other}, measured by training steps of 16 images" in folder.log.read_text()
    start = json.loads(folder.environment.read_text())["starts"][0]
    assert start["convolutions"].endswith(other)
    # In turns, so that a moment in which the machine is busy is no one's alone.
    assert measured[2:] == [("float32", 16), ("bfloat16", 16)] * 3


def test_measuring_changes_nothing(tmp_path, monkeypatch, units):
    real = precision_choice.step_seconds
    monkeypatch.setattr(
        precision_choice,
        "step_seconds",
        lambda *a: real(*a) + (1000 if a[3].dtype == "bfloat16" else 0),
    )
    options = ["model.options.stochastic_depth=0.5"]
    measured = train(tmp_path / "measured", *options)
    given = train(tmp_path / "given", *options, "train.precision=float32")
    assert measured.read_config().train.precision == "float32"
    ours, theirs = (read_weights(run.last)[0] for run in (measured, given))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_large_steps_are_cut(monkeypatch, units, choices):
    """A step is measured at as many times 16 images as take 0.5 s, at most a batch.

    Short ones are repeated more often.
    """
    taken = {}

    def planted(network, images, labels, precision):
        taken.setdefault("counts", []).append(len(images))
        assert images.dtype == np.float32
        assert len(labels) == len(images)
        return taken["seconds"] * len(images) / 16

    monkeypatch.setattr(precision_choice, "step_seconds", planted)
    config = load_config(
        "quickstart", ("data.root=sample", "data.max_train_images=200", "train.batch_size=128")
    )

    config = resolve(config, lambda line: None)
    splits = load_splits(config, lambda line: None)
    network, _ = build_model(config, splits)
    for seconds, count, rounds in ((2.0, 16, 3), (0.15, 48, 3), (0.001, 128, 6)):
        taken.update(seconds=seconds, counts=[])
        shutil.rmtree(choices, ignore_errors=True)
        with kernels.use("require"):
            precision_choice.choose_precision(config, network, splits, lambda line: None)
        assert taken["counts"] == [16, 16, *[count] * 2 * rounds]


def test_a_repeat_computes_in_what_was_chosen_before(tmp_path, monkeypatch, units, choices):
    slow = ["bfloat16"]
    monkeypatch.setattr(precision_choice, "step_seconds", lambda *a: 1 + (a[3].dtype in slow))
    first = train(tmp_path / "first")
    slow[:] = ["float32"]  # as a neighbour on the machine may have it
    again = train(tmp_path / "again")
    assert [run.read_config().train.precision for run in (first, again)] == ["float32"] * 2
    (kept,) = choices.iterdir()
    assert f"measured at an earlier start (kept in {kept})" in again.log.read_text()
    # Another batch is another question; damaged files are none.
    other = train(tmp_path / "other", "train.batch_size=32")
    assert other.read_config().train.precision == "bfloat16"
    for number, content in enumerate(("", "[]", '{"dtype": "float64"}', '{"dtype": ["float32"]}')):
        kept.write_text(content)
        run = train(tmp_path / str(number))
        assert run.read_config().train.precision == "bfloat16"
    shutil.rmtree(choices)
    choices.write_text("a file where the folder should be")
    assert train(tmp_path / "nowhere").read_config().train.precision == "bfloat16"


@pytest.mark.parametrize(("units", "mode"), [(False, "require"), (True, "off")])
def test_without_units_or_operator_nothing_is_measured(monkeypatch, units, mode):
    monkeypatch.setattr(cpu_runtime, "has_bfloat16_units", lambda: units)
    monkeypatch.setattr(precision_choice, "step_seconds", None)
    config = load_config("quickstart", ())
    with kernels.use(mode):
        chosen = precision_choice.choose_precision(config, None, None, print)
        assert Precision("auto").dtype == "float32"
    assert config.train.precision == "auto"
    assert chosen == dataclasses.replace(
        config, train=dataclasses.replace(config.train, precision="float32")
    )


def test_all_seeds_compute_in_what_the_first_one_chose(tmp_path, monkeypatch, units):
    wins = iter(["bfloat16", "float32"])
    monkeypatch.setattr(precision_choice, "_faster", lambda *a: next(wins))
    folder = train(tmp_path / "seeds", "train.num_seeds=2").path
    found = [RunFolder(folder / f"seed-{k}").read_config().train.precision for k in (0, 1)]
    assert found == ["bfloat16", "bfloat16"]


def test_gradients_statistics_and_random_numbers_stay(units, sample):
    paddle.seed(0)
    tiny = ResNet((1, 1), BasicBlock, 10, widths=(8, 16), stem="cifar", dropout=0.5)
    before = {name: value.numpy().copy() for name, value in tiny.state_dict().items()}

    class Splits:
        input_shape = (3, 32, 32)

        class train:
            images = sample.train_images[:8]

            @staticmethod
            def subset(places):
                images = (sample.train_images[places] / 255).astype(np.float32)
                return [(images, sample.train_labels[places].reshape(-1, 1))]

    config = load_config("quickstart", ("train.batch_size=8",))
    paddle.seed(1)
    expected = paddle.rand([4]).numpy()
    paddle.seed(1)
    with kernels.use("require"):
        precision_choice.choose_precision(config, tiny, Splits, lambda line: None)
    np.testing.assert_array_equal(paddle.rand([4]).numpy(), expected)
    assert all(parameter.grad is None for parameter in tiny.parameters())
    for name, value in tiny.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert paddle.is_grad_enabled()
