"""``train.precision`` and ``amp_configs`` on a CPU where the operator is there."""

import contextlib
import json
import warnings

import numpy as np
import paddle
import pytest
from paddle import nn
from PIL import Image

from paddle_resnet import ImageClassifier, cpu_runtime, create_model, kernels
from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.evaluation import final_test
from paddle_resnet.kernels import conv_bn_act as fused
from paddle_resnet.models.precision import Precision
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.training.setup import precision_choice

SMALL = [
    "model.name=resnet18", "model.options.widths=[8,8,16,16]", "data.root=sample",
    "data.max_train_images=64", "train.batch_size=16", "train.eval_batch_size=100",
    "optimizer.lr=0.01", "train.budget=null", "train.epochs=1", "run.report=false",
    "run.visualdl=false",
]  # fmt: skip

NO_UNITS = "this CPU has no bfloat16 units"


def test_a_run_computes_in_bfloat16_and_says_so(tmp_path, monkeypatch):
    drawn = []
    heatmaps = final_test._heatmaps

    def count(*arguments):
        before = fused.fused_calls, fused.bfloat16_calls
        found = heatmaps(*arguments)
        drawn.extend((fused.fused_calls - before[0], fused.bfloat16_calls - before[1]))
        return found

    monkeypatch.setattr(final_test, "_heatmaps", count)
    line = ["train"]
    for override in [*SMALL, f"run.dir={tmp_path}", "run.name=a", "train.precision=bfloat16"]:
        line += ["-o", override]
    before = fused.fused_calls, fused.bfloat16_calls
    with kernels.use("require"):
        assert main(line) == 0
    # The network was made and tried in float32, once; so are the heat maps of its mistakes.
    computed, in_bfloat16 = fused.fused_calls - before[0], fused.bfloat16_calls - before[1]
    of_heatmaps, heatmaps_in_bfloat16 = drawn
    assert (of_heatmaps > 0, heatmaps_in_bfloat16) == (True, 0)
    assert computed - in_bfloat16 == 20 + of_heatmaps
    assert in_bfloat16 > 20 * 5
    folder = RunFolder(tmp_path / "a")
    log = folder.log.read_text()
    assert "20 conv-BN layers: CPU operator, bfloat16" in log
    assert log.count(NO_UNITS) == (0 if cpu_runtime.has_bfloat16_units() else 1)
    start = json.loads(folder.environment.read_text())["starts"][0]
    assert start["convolutions"] == "20 conv-BN layers: CPU operator, bfloat16"
    rows = folder.rows(folder.history)
    assert np.isfinite(rows[-1]["loss"])


def test_auto_is_bfloat16_where_the_cpu_has_units(monkeypatch):
    with kernels.use("require"):
        expected = "bfloat16" if cpu_runtime.has_bfloat16_units() else "float32"
        assert (Precision("auto").dtype, Precision("auto").notice) == (expected, "")
        monkeypatch.setattr(cpu_runtime, "cpu_flags", lambda: frozenset(["amx_bf16"]))
        for asked in ("auto", "bfloat16"):
            assert (Precision(asked).dtype, Precision(asked).notice) == ("bfloat16", "")
    with kernels.use("off"):
        assert (Precision("auto").dtype, Precision("auto").notice) == ("float32", "")


@pytest.mark.parametrize(
    ("begun", "elsewhere", "kept"),
    [("amx_bf16", "avx2", "bfloat16"), ("avx2", "amx_bf16", "float32")],
)
def test_a_run_stays_with_what_auto_was(tmp_path, monkeypatch, capsys, begun, elsewhere, kept):
    line = ["train"]
    for override in [
        *SMALL, f"run.dir={tmp_path}", "run.name=a", "train.resume=auto", "data.validation=0.02",
        "train.checkpoint_interval=1 steps",
    ]:  # fmt: skip
        line += ["-o", override]
    folder = RunFolder(tmp_path / "a")
    convolutions = f"20 conv-BN layers: CPU operator, {kept}"

    def in_bfloat16(*command):
        before = fused.bfloat16_calls
        assert main(list(command)) == 0
        return fused.bfloat16_calls > before

    # Where there are units, bfloat16 is to be the faster one, whatever it is here.
    monkeypatch.setattr(precision_choice, "step_seconds", lambda *a: 1 + (a[3].dtype == "float32"))
    monkeypatch.setattr(precision_choice, "choices_folder", lambda: tmp_path / "choices")
    with kernels.use("require"):
        monkeypatch.setattr(cpu_runtime, "cpu_flags", lambda: frozenset([begun]))
        assert in_bfloat16(*line) == (kept == "bfloat16")
        assert load_config("quickstart", tuple(line[2::2])).train.precision == "auto"
        assert folder.read_config().train.precision == kept
        # As if it had been killed before the last step, and the folder been moved.
        folder.result.unlink()
        max(folder.checkpoints.iterdir()).unlink()
        monkeypatch.setattr(cpu_runtime, "cpu_flags", lambda: frozenset([elsewhere]))
        capsys.readouterr()
        assert in_bfloat16(*line) == (kept == "bfloat16")
        said = capsys.readouterr().out
        assert "resumed after step 3" in said
        assert "it may differ in the last bits" not in said
        assert (NO_UNITS in said) == (kept == "bfloat16")
        starts = json.loads(folder.environment.read_text())["starts"]
        assert [start["convolutions"] for start in starts] == [convolutions] * 2
        picture = tmp_path / "picture.png"
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(picture)
        for command in (
            ("evaluate", str(folder.path)),
            ("predict", str(folder.path), str(picture)),
        ):
            assert in_bfloat16(*command) == (kept == "bfloat16")
            assert (NO_UNITS in capsys.readouterr().err) == (kept == "bfloat16")
        # A folder from when `auto` was written down goes on with what it is here.
        folder.result.unlink()
        recipe = folder.config.read_text()
        folder.config.write_text(recipe.replace(f"precision: {kept}", "precision: auto"))
        assert in_bfloat16(*line) == (kept != "bfloat16")


@pytest.mark.parametrize("level", ["O1", "O2"])
def test_image_classifier_trains_evaluates_and_predicts_in_bfloat16(level):
    paddle.seed(0)
    network = create_model("resnet18", num_classes=10, widths=(8, 8, 8, 8), stem="cifar")
    model = ImageClassifier(network)
    optimizer = paddle.optimizer.Momentum(0.01, parameters=network.parameters())
    rng = np.random.default_rng(0)
    images = rng.standard_normal([8, 3, 16, 16], dtype="float32")
    batches = [(images, rng.integers(0, 10, [8, 1]))]
    with kernels.use("require"):
        expected = (
            contextlib.nullcontext()
            if cpu_runtime.has_bfloat16_units()
            else pytest.warns(match=NO_UNITS)
        )
        with warnings.catch_warnings(), expected:
            model.prepare(
                optimizer, nn.CrossEntropyLoss(), amp_configs={"dtype": "bfloat16", "level": level}
            )
        counts = []
        for work in (
            lambda: model.fit(batches, epochs=1, verbose=0),
            lambda: model.evaluate(batches, verbose=0),
            lambda: model.predict([(images,)], verbose=0),
        ):
            before = fused.fused_calls, fused.bfloat16_calls
            work()
            counts.append((fused.fused_calls - before[0], fused.bfloat16_calls - before[1]))
    assert counts == [(20, 20)] * 3
    assert {p.dtype for p in network.parameters()} == {paddle.float32}
