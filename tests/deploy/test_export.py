"""Exported files are the same network, and say what it is."""

import ast
import json
import subprocess
import sys

import numpy as np
import pytest
from export_helpers import network_logits
from PIL import Image

from paddle_resnet import Predictor, load_trained


@pytest.fixture(scope="module")
def expected(cifar):
    trained = load_trained("resnet20")
    return network_logits(trained.network, cifar.test_images, trained.mean, trained.std)


def test_float32_is_the_network(float32_file, cifar, expected):
    logits = Predictor(float32_file).logits(cifar.test_images)
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()
    assert (logits.argmax(1) == expected.argmax(1)).all()


def test_probabilities_are_the_softmax_of_logits(float32_file, cifar, expected):
    wide = expected.astype(np.float64)
    softmax = np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    probabilities = Predictor(float32_file).probabilities(cifar.test_images)
    np.testing.assert_allclose(probabilities, softmax, atol=1e-5)


def test_int8_agrees_and_keeps_its_accuracy(int8_file, cifar, expected):
    predictor = Predictor(int8_file)
    classes = predictor.logits(cifar.test_images).argmax(1)
    assert (classes == expected.argmax(1)).mean() > 0.97
    accuracy = (classes == cifar.test_labels).mean()
    assert accuracy > (expected.argmax(1) == cifar.test_labels).mean() - 0.015
    assert predictor.manifest.precision == "int8"
    assert predictor.manifest.provenance["calibration_images"] == 500


def test_int8_activations_are_unsigned_and_weights_are_int8_by_channel(int8_file, float32_file):
    import onnx

    model = onnx.load(int8_file)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    quantizers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert len(quantizers) > 20
    # With int8 activations ONNX Runtime is slower than in float32.
    assert {values[node.input[2]].dtype for node in quantizers} == {np.dtype(np.uint8)}
    kernels = [v for v in values.values() if v.dtype == np.int8 and v.ndim == 4]
    assert len(kernels) == 19
    weights = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and values.get(node.input[0], kernels[0]).ndim == 4
        and node.input[0] in values
    ]
    assert all(values[n.input[1]].shape == (len(values[n.input[0]]),) for n in weights)
    assert int8_file.stat().st_size < 0.35 * float32_file.stat().st_size


def test_shortcut_a_is_exported_without_pad(float32_file, int8_file, paddle_folder):
    import onnx

    for file in (float32_file, int8_file):
        operators = {node.op_type for node in onnx.load(file).graph.node}
        assert "Pad" not in operators
        assert "Conv" in operators
    program = next(p for p in paddle_folder.iterdir() if p.name in PROGRAMS)
    assert b"concat" in program.read_bytes()
    assert b"pad3d" not in program.read_bytes()


PROGRAMS = ("inference.json", "inference.pdmodel")
#: One that does not hold Paddle already, as `sys.executable` does in this folder.
PYTHON = sys.executable


@pytest.mark.parametrize("count", [1, 7])
def test_the_batch_is_dynamic(float32_file, int8_file, cifar, count):
    for file in (float32_file, int8_file):
        predictor = Predictor(file)
        logits = predictor.logits(cifar.test_images[:count])
        assert logits.shape == (count, 10)
        single = np.concatenate([predictor.logits(i[None]) for i in cifar.test_images[:count]])
        np.testing.assert_allclose(logits, single, atol=1e-4)


def test_preprocessing_is_the_loaders_to_the_last_bit(float32_file, cifar):
    """The graph up to its first convolution gives the numbers that the network was trained on."""
    import onnx
    import onnxruntime

    from paddle_resnet.data import BatchLoader

    model = onnx.load(float32_file)
    add = next(n for n in model.graph.node if n.op_type == "Add")
    conv = next(n for n in model.graph.node if n.op_type == "Conv")
    assert conv.input[0] == add.output[0]
    model.graph.output.append(onnx.ValueInfoProto(name=add.output[0]))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (seen,) = session.run([add.output[0]], {"image": cifar.test_images[:20]})
    facts = load_trained("resnet20")
    loader = BatchLoader(
        cifar.test_images[:20], cifar.test_labels[:20], 20, mean=facts.mean, std=facts.std
    )
    np.testing.assert_array_equal(seen, next(iter(loader))[0])


def test_the_files_say_what_they_are(int8_file):
    import onnx

    model = onnx.load(int8_file)
    assert [i.name for i in model.graph.input] == ["image"]
    assert [o.name for o in model.graph.output] == ["logits", "probabilities"]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    texts = {entry.key: entry.value for entry in model.metadata_props}
    facts = {key: json.loads(text) for key, text in texts.items() if not key.startswith("onnx.")}
    trained = load_trained("resnet20")
    assert facts["classes"] == trained.classes
    assert facts["mean"] == trained.mean
    assert facts["std"] == trained.std
    assert facts["input_shape"] == [3, 32, 32]
    assert facts["model"] == "resnet20"
    assert facts["options"] == {"num_classes": 10}
    assert facts["precision"] == "int8"


def test_paddle_folder(paddle_folder, cifar, expected):
    predictor = Predictor(paddle_folder)
    wide = expected - expected.mean(1, keepdims=True)
    logits = predictor.logits(cifar.test_images)
    assert np.abs(logits - wide).max() < 1e-4 * np.abs(wide).max()
    import yaml

    facts = yaml.safe_load((paddle_folder / "inference.yml").read_text(encoding="utf-8"))
    steps = [next(iter(step)) for step in facts["PreProcess"]["transform_ops"]]
    assert steps == ["ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage"]
    assert facts["PostProcess"]["Topk"]["label_list"] == list(cifar.classes)


def test_the_record_holds_facts_and_proofs_of_both_files(exports):
    record = json.loads((exports / "export.json").read_text(encoding="utf-8"))
    assert set(record) == {"resnet20.onnx", "resnet20.int8.onnx"}
    rows = record["resnet20.int8.onnx"]["proof"]["rows"]
    assert [row["side"] for row in rows] == ["network", "onnx float32", "onnx int8"]
    assert rows[1]["agreement"] == 1
    assert rows[2]["bytes"] == (exports / "resnet20.int8.onnx").stat().st_size
    assert record["resnet20.onnx"]["proof"]["images"] == 500


def test_the_example_runs_as_it_is_without_this_package(exports, cifar, tmp_path):
    Image.fromarray(cifar.test_images[3].transpose(1, 2, 0)).resize((90, 60)).save(
        tmp_path / "a.png"
    )
    done = subprocess.run(
        [
            PYTHON,
            "-c",
            BLOCKED + f"import runpy; runpy.run_path({str(exports / 'predict_example.py')!r})",
            str(tmp_path / "a.png"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    printed = ast.literal_eval(done.stdout[done.stdout.index("{") :])
    answers = Predictor(exports / "resnet20.int8.onnx").predict(tmp_path / "a.png")[0]
    assert list(printed) == [answer["class"] for answer in answers]
    for answer in answers:
        assert printed[answer["class"]] == pytest.approx(answer["probability"], abs=1e-4)


BLOCKED = "import sys; sys.modules['paddle_resnet'] = sys.modules['paddle'] = None; "
