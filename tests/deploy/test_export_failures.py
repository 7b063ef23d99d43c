"""An export that fails leaves nothing behind, and says why in one sentence."""

import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import Predictor, create_model, export, save_weights
from paddle_resnet.cli import main
from paddle_resnet.deploy.exporting import onnx_export, proof
from paddle_resnet.errors import DeployError, UserError
from paddle_resnet.models.trained_model import model_metadata

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("onnx_extra")


def silent(line):
    pass


def small_network(**options):
    paddle.seed(0)
    return create_model("resnet20", num_classes=3, layers=(1, 1, 1), widths=(4, 8, 8), **options)


FACTS = {"classes": ["a", "b", "c"], "input_shape": [3, 16, 16]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["resnet21"], "resnet20"),
        (["resnet20", "--format", "onx"], "Did you mean 'onnx'"),
        (["resnet20", "--precision", "int4"], "expected one of float32, int8"),
        (["resnet20", "--format", "paddle", "--precision", "int8"], "--format onnx"),
        (["resnet20", "--precision", "int8", "--calibrate", "0"], "--calibrate"),
        (["resnet20", "--data", "/no/such/folder"], "/no/such/folder"),
        (["resnet20", "--out", ""], "--out is empty"),
    ],
)
def test_wrong_choices(line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--out", str(tmp_path / "out"), *line]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DeployError, match="is a file"):
        export(small_network(), tmp_path / "out", log=silent, **FACTS)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_network_alone_needs_facts(tmp_path):
    with pytest.raises(DeployError, match="classes and input_shape"):
        export(small_network(), tmp_path / "out", log=silent)
    with pytest.raises(DeployError, match="unknown fact"):
        export(small_network(), tmp_path / "out", log=silent, colour="red", **FACTS)
    with pytest.raises(DeployError, match="this source has its own"):
        export("resnet20", tmp_path / "out", log=silent, **FACTS)
    with pytest.raises(DeployError, match="mean"):
        export(small_network(), tmp_path / "out", log=silent, mean=[0.5], **FACTS)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_not_calibrated_with_random_images(tmp_path):
    with pytest.raises(UserError, match="calibrated with training images"):
        export(small_network(), tmp_path / "out", precision="int8", log=silent, **FACTS)
    assert list(tmp_path.iterdir()) == []


class Odd(nn.Layer):
    """An activation function that ONNX does not have."""

    def forward(self, x):
        return paddle.digamma(x.abs() + 1)


class InNumPy(nn.Layer):
    """An activation function that no program can hold."""

    def forward(self, x):
        return paddle.to_tensor(np.sort(x.numpy()))


@pytest.mark.parametrize(
    ("act", "words"), [(Odd, "does not know the operator digamma"), (InNumPy, "static program")]
)
def test_an_unknown_activation_function(act, words, tmp_path):
    with pytest.raises(DeployError, match=words) as caught:
        export(small_network(act=act), tmp_path / "out", log=silent, **FACTS)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Forgetful(nn.Layer):
    """A network whose static program computes something else."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 16 * 16, 3)

    def forward(self, x):
        x = self.fc(x.flatten(1))
        return x if paddle.in_dynamic_mode() else x * 1.01


def test_an_export_that_is_another_network_is_not_written(tmp_path):
    for format in ("onnx", "paddle"):
        with pytest.raises(DeployError, match="is not written: its logits differ"):
            export(Forgetful(), tmp_path / "out", format=format, log=silent, **FACTS)
        assert list(tmp_path.iterdir()) == []


def test_the_limits_of_the_proof():
    def row(logits, reference, labels=None):
        return proof.compare("", "", logits, reference, labels, [0.1, 0.2], 5)

    reference = np.eye(4, dtype=np.float32) * 10
    labels = np.arange(4)

    def verdict(logits, precision, labels=None):
        rows = [row(reference, reference, labels), row(logits, reference, labels)]
        return proof.shortfall(proof.Proof(rows, 4, ""), precision)

    assert verdict(reference + 5e-4, "float32") == ""
    assert "logits differ" in verdict(reference + 5e-3, "float32")
    assert "logits differ" in verdict(reference * np.float32("nan"), "float32")
    assert verdict(reference * 0.8, "int8") == ""
    assert "classes" in verdict(reference[::-1], "int8")
    swapped = row(reference[[1, 0, 2, 3]], reference, labels)
    assert (swapped.agreement, swapped.changed, swapped.accuracy) == (0.5, 2, 0.5)
    assert swapped.logit_difference == 10
    assert swapped.relative_difference == 1
    # Two equal logits: either class is right.
    tie = np.array([[1.0, 1.0 - 1e-6]], np.float32)
    assert row(tie[:, ::-1], tie).changed == 0


def test_int8_that_loses_accuracy_is_refused():
    rng = np.random.RandomState(0)
    reference = rng.randn(1000, 10).astype(np.float32) * 5
    labels = reference.argmax(1)
    worse = reference.copy()
    worse[:30] = np.roll(worse[:30], 1, axis=1)
    rows = [
        proof.compare("", "", logits, reference, labels, [0, 0], 0) for logits in (reference, worse)
    ]
    assert rows[1].agreement == pytest.approx(0.97)
    assert "97.00%" in proof.shortfall(proof.Proof(rows, 1000, ""), "int8")


def test_of_two_exports_into_one_folder_both_are_in_the_record(tmp_path, monkeypatch):
    module = importlib.import_module("paddle_resnet.deploy.export")
    out, real = tmp_path / "out", module.publish

    def second_comes_in_between(*arguments):
        monkeypatch.setattr(module, "publish", real)
        export(small_network(), out, log=silent, model="second", **FACTS)
        return real(*arguments)

    monkeypatch.setattr(module, "publish", second_comes_in_between)
    export(small_network(), out, log=silent, model="first", **FACTS)
    record = json.loads((out / "export.json").read_text())
    assert sorted(record) == ["first.onnx", "second.onnx"]
    assert all((out / name).is_file() for name in record)


@pytest.mark.parametrize("change", ["deleted", "another"])
def test_a_source_that_changes_in_the_meantime(change, tmp_path, monkeypatch):
    """As `best.safetensors` of a run that still trains: what was read is what is exported."""
    path = tmp_path / "run" / "best.safetensors"
    path.parent.mkdir()
    facts = model_metadata(
        "resnet20",
        {"layers": [1, 1, 1], "widths": [4, 8, 8]},
        ["a", "b", "c"],
        None,
        None,
        [3, 8, 8],
    )
    facts["options"]["num_classes"] = 3
    save_weights(small_network(), path, facts)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    source = importlib.import_module("paddle_resnet.deploy.source")
    real = source.load_trained

    def load(given):
        trained = real(given)
        if change == "deleted":
            shutil.rmtree(path.parent)
        else:
            facts["options"] = {"num_classes": 7}
            save_weights(create_model("resnet20", num_classes=7), path, facts)
        return trained

    monkeypatch.setattr(source, "load_trained", load)
    result = export(tmp_path / "run", tmp_path / "out", log=silent)
    assert result.manifest.options == {"layers": [1, 1, 1], "num_classes": 3, "widths": [4, 8, 8]}
    assert result.manifest.provenance["source_sha256"] == expected
    assert result.path.name == "run.onnx"


def test_a_full_disk_leaves_nothing(tmp_path):
    """The limit on file sizes is met where the ONNX file is written."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "from paddle_resnet.cli import main\n"
        "sys.exit(main(['export', 'resnet20', '--data', 'sample', '--out', sys.argv[1]]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PADDLE_RESNET_KERNELS": "off"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "o")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_for_the_converter(tmp_path, monkeypatch):
    """It says then that the network cannot be converted."""
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    (tmp_path / "program").write_bytes(b"damaged")
    (tmp_path / "parameters").write_bytes(b"\0" * 1001)
    arguments = tmp_path / "program", tmp_path / "parameters", tmp_path / "out.onnx"
    with pytest.raises(OSError, match="No space left"):
        onnx_export.convert(*arguments)
    (tmp_path / "parameters").write_bytes(b"\0" * 999)
    with pytest.raises(DeployError, match="cannot convert"):
        onnx_export.convert(*arguments)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing(number, code, tmp_path):
    script = "import sys; from paddle_resnet.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PADDLE_RESNET_KERNELS": "off"}
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script,
            *["export", "resnet20", "--data", "sample", "--out"],
            tmp_path / "o",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 120
    while not list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(tmp_path.iterdir())
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []


def test_a_missing_converter_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    import importlib.metadata as metadata

    real = metadata.version
    line = "paddle2onnx>=2.1" if paddle.__version__[0] == "3" else "paddle2onnx==1.3.1"

    def version(name):
        if name == "paddle2onnx":
            raise metadata.PackageNotFoundError
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(DeployError, match=f"not installed: run `pip install '{line}'"):
        export(small_network(), tmp_path / "out", log=silent, **FACTS)
    other = "1.3.1" if paddle.__version__[0] == "3" else "2.1.0"
    monkeypatch.setattr(metadata, "version", lambda name: other)
    with pytest.raises(DeployError, match=f"paddle2onnx {other} cannot read .*'{line}'"):
        export(small_network(), tmp_path / "out", log=silent, **FACTS)


def test_a_network_in_memory_is_exported_and_proved_with_random_images(tmp_path):
    lines = []
    result = export(small_network(), tmp_path / "out", log=lines.append, **FACTS)
    assert any("random images" in line for line in lines)
    assert result.path.parent == tmp_path / "out"
    assert Predictor(result.path).classes == FACTS["classes"]
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record[result.path.name]["proof"]["rows"][1]["accuracy"] is None
