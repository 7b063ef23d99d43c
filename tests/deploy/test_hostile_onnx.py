"""ONNX files from anyone are refused in one sentence, before a runtime reads them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_resnet import Predictor
from paddle_resnet.cli import main
from paddle_resnet.errors import DeployError

onnx = pytest.importorskip("onnx", reason="needs the extra [onnx]")


@pytest.fixture
def model(float32_file):
    return onnx.load(float32_file)


def refused(model, tmp_path, match):
    path = tmp_path / "hostile.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(DeployError, match=match) as caught:
        Predictor(path)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 700


def set_fact(model, name, value):
    entry = next(e for e in model.metadata_props if e.key == name)
    entry.value = value if isinstance(value, str) else json.dumps(value)


def test_external_data(model, tmp_path):
    (tmp_path / "secret").write_bytes(b"\0" * 4096)
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    refused(model, tmp_path, "weights lie in another file")


def test_external_data_inside_a_constant(model, tmp_path):
    tensor = onnx.TensorProto(dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["c"], value=tensor))
    refused(model, tmp_path, "weights lie in another file")


@pytest.mark.parametrize(
    ("operator", "domain", "match"),
    [
        ("Loop", "", "operator 'Loop'"),
        ("If", "", "operator 'If'"),
        ("Scan", "", "operator 'Scan'"),
        ("Resize", "", "operator 'Resize'"),
        ("Relu", "com.microsoft", "operator of 'com.microsoft'"),
        ("Relu", "evil\n", r"operator of 'evil\?'"),
    ],
)
def test_other_operators(model, tmp_path, operator, domain, match):
    node = onnx.helper.make_node(operator, ["logits"], ["extra"], domain=domain)
    model.graph.node.append(node)
    refused(model, tmp_path, match)


def test_a_graph_inside_an_operator(model, tmp_path):
    node = onnx.helper.make_node("Relu", ["logits"], ["extra"])
    node.attribute.append(onnx.helper.make_attribute("body", model.graph))
    model.graph.node.append(node)
    refused(model, tmp_path, "holds a graph")


def test_functions(model, tmp_path):
    model.functions.append(onnx.helper.make_function("d", "f", [], [], [], model.opset_import))
    refused(model, tmp_path, "functions")


def test_lying_metadata(model, tmp_path):
    set_fact(model, "input_shape", [3, 64, 64])
    refused(model, tmp_path, r"its input is \[0, 3, 32, 32\]")


def test_lying_classes(model, tmp_path):
    set_fact(model, "classes", ["a", "b"])
    refused(model, tmp_path, "must give 2")


@pytest.mark.parametrize("value", ["{", "[1]", '["a\\u0000"]'])
def test_damaged_metadata(model, tmp_path, value):
    set_fact(model, "classes", value)
    refused(model, tmp_path, "classes")


def test_no_metadata_at_all(model, tmp_path):
    del model.metadata_props[:]
    refused(model, tmp_path, "does not say what network it holds")


def test_a_huge_input(model, tmp_path):
    set_fact(model, "input_shape", [3, 10**6, 10**6])
    for index in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[index].dim_value = 10**6
    refused(model, tmp_path, "input_shape")


def test_huge_activations(model, tmp_path):
    """A convolution with a border of a million pixels: a few bytes that ask for terabytes."""
    conv = next(n for n in model.graph.node if n.op_type == "Conv")
    for attribute in conv.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [10**6] * 4
    refused(model, tmp_path, "would become a tensor of|do not fit together")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("strides", [0, 0]), ("dilations", [-1, 1]), ("kernel_shape", [0, 3])),
        *(("group", 0), ("strides", 1.5)),
    ],
)
def test_attributes_that_a_runtime_divides_by(model, tmp_path, name, value):
    """ONNX Runtime does, unchecked: the process ends with SIGFPE."""
    conv = next(n for n in model.graph.node if n.op_type == "Conv")
    kept = [a for a in conv.attribute if a.name != name]
    del conv.attribute[:]
    conv.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])
    refused(model, tmp_path, f"'Conv' has a wrong value of '{name}'")


def behind(model, node, *more):
    """Put an operator behind the softmax, whose output becomes ``given``."""
    softmax = next(n for n in model.graph.node if n.output[0] == "probabilities")
    softmax.output[0] = "given"
    model.graph.node.extend([*more, node])


def test_a_division_of_integers(model, tmp_path):
    for name, value in (("one", 1), ("zero", 0)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([value]), name))
    nodes = [
        onnx.helper.make_node("Div", ["one", "zero"], ["ratio"]),
        onnx.helper.make_node("Cast", ["ratio"], ["float"], to=onnx.TensorProto.FLOAT),
    ]
    behind(model, onnx.helper.make_node("Add", ["given", "float"], ["probabilities"]), *nodes)
    refused(model, tmp_path, "divides integers")


def test_a_size_that_comes_from_the_pixels(model, tmp_path):
    nodes = [
        onnx.helper.make_node("ReduceMax", ["logits"], ["most"], keepdims=0),
        onnx.helper.make_node("Cast", ["most"], ["whole"], to=onnx.TensorProto.INT64),
        onnx.helper.make_node("Mul", ["whole", "billion"], ["size"]),
        onnx.helper.make_node("ConstantOfShape", ["size"], ["terabytes"]),
        onnx.helper.make_node("ReduceMax", ["terabytes"], ["zero"], keepdims=0),
    ]
    billion = onnx.numpy_helper.from_array(np.array([10**9]), "billion")
    model.graph.initializer.append(billion)
    behind(model, onnx.helper.make_node("Add", ["given", "zero"], ["probabilities"]), *nodes)
    refused(model, tmp_path, "'ConstantOfShape' gives depends on the image")


@pytest.mark.parametrize("kind", ["STRING", "INT64", "DOUBLE"])
def test_outputs_of_another_type(model, tmp_path, kind):
    kind = getattr(onnx.TensorProto, kind)
    behind(model, onnx.helper.make_node("Cast", ["given"], ["probabilities"], to=kind))
    next(
        o for o in model.graph.output if o.name == "probabilities"
    ).type.tensor_type.elem_type = kind
    refused(model, tmp_path, "'probabilities' must be float32")


def test_a_weight_without_numbers(model, tmp_path):
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros((16, 0, 3, 3), np.float32), tensor.name))
    refused(model, tmp_path, "a weight without numbers")


@pytest.mark.parametrize(
    ("node", "value"),
    [("ReduceMean", None), ("Mul", -1e9), ("Add", 0.1)],
    ids=["one row for all", "negative", "sum of 2"],
)
def test_answers_that_are_no_probabilities(model, tmp_path, node, value):
    if value is None:
        behind(model, onnx.helper.make_node(node, ["given"], ["probabilities"], axes=[0]))
    else:
        number = onnx.numpy_helper.from_array(np.float32(value), "number")
        model.graph.initializer.append(number)
        behind(model, onnx.helper.make_node(node, ["given", "number"], ["probabilities"]))
    path = tmp_path / "hostile.onnx"
    onnx.save(model, path)
    with pytest.raises(DeployError, match="does not answer 3 images with a probability of each"):
        Predictor(path).predict([np.zeros((32, 32, 3), np.uint8)] * 3)


def test_the_words_of_a_runtime_begin_with_what_is_wrong(model, tmp_path, capfd):
    model.ir_version = 999
    refused(model, tmp_path, "refuses the file: Unsupported model IR version: 999")
    assert capfd.readouterr().err == ""


def test_shapes_that_do_not_fit_together(model, tmp_path):
    tensor = next(t for t in model.graph.initializer if list(t.dims[2:]) == [3, 3])
    array = onnx.numpy_helper.to_array(tensor)[:, :1]
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
    path = tmp_path / "hostile.onnx"
    onnx.save(model, path)
    # ONNX's own shape inference does not compare channels.
    with pytest.raises(DeployError, match=r"do not fit together|ONNX Runtime (failed|refuses)"):
        Predictor(path).predict(np.zeros((32, 32, 3), np.uint8))


def test_other_inputs_and_outputs(model, tmp_path):
    model.graph.output[0].name = "scores"
    refused(model, tmp_path, "outputs 'logits' and 'probabilities'")


def test_weights_that_are_not_a_number(model, tmp_path):
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    array = onnx.numpy_helper.to_array(tensor) * np.float32("nan")
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    path = tmp_path / "nan.onnx"
    onnx.save(model, path)
    with pytest.raises(DeployError, match="NaN"):
        Predictor(path).predict(np.zeros((32, 32, 3), np.uint8))


def test_damaged_bytes_never_raise_anything_else(float32_file, tmp_path):
    whole = float32_file.read_bytes()
    rng = np.random.RandomState(0)
    path = tmp_path / "damaged.onnx"
    refusals = 0
    for _ in range(60):
        content = bytearray(whole[: rng.randint(1, len(whole))] if rng.rand() < 0.3 else whole)
        # Most of the file is weights: aim at the graph around them.
        for place in rng.randint(0, len(content), 40):
            content[place] = rng.randint(256)
        start = rng.randint(max(len(content) - 400, 1))
        content[start : start + 8] = rng.bytes(8)
        path.write_bytes(content)
        try:
            Predictor(path, threads=1)
        except DeployError:
            refusals += 1
    assert refusals > 10


def test_what_is_no_onnx_file(tmp_path):
    for content in (b"", b"hello", b"\x00" * 100, b"PK\x03\x04"):
        refused(content, tmp_path, "no ONNX file|does not say")


@pytest.mark.skipif(os.name != "posix", reason="there are no pipes by name")
@pytest.mark.parametrize("is_written", [True, False])
def test_a_pipe_does_not_hang(tmp_path, is_written):
    """Opening one that nobody writes into would wait for a writer."""
    path = tmp_path / "pipe.onnx"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR) if is_written else None
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    code = "import sys; from paddle_resnet.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(path), str(tmp_path / "a.png")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (2, f"error: '{path}' is no file.\n")
    if writer is not None:
        os.close(writer)


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    with pytest.raises(DeployError, match="is a link that leads nowhere"):
        Predictor(tmp_path / "loop.onnx")


def test_metadata_of_one_name_twice(model, tmp_path):
    """ONNX Runtime and a dictionary need not agree on which one counts."""
    model.metadata_props.add(key="classes", value=json.dumps(list("abcdefghij")))
    refused(model, tmp_path, "metadata of one name twice")


def test_missing_files_and_folders(tmp_path, float32_file):
    with pytest.raises(DeployError, match="there is no file"):
        Predictor(tmp_path / "none.onnx")
    with pytest.raises(DeployError, match=r"Did you mean 'resnet20.onnx'"):
        Predictor(float32_file.with_name("resnet2.onnx"))
    with pytest.raises(DeployError, match="holds no inference"):
        Predictor(tmp_path)
    with pytest.raises(DeployError, match="Did you mean 'onnxruntime'"):
        Predictor(float32_file, runtime="onnxruntim")
    with pytest.raises(DeployError, match="it is an ONNX file"):
        Predictor(float32_file, runtime="paddle")


def test_the_command_prints_one_sentence(tmp_path, capsys):
    (tmp_path / "x.onnx").write_bytes(b"hello")
    (tmp_path / "a.png").write_bytes(b"")
    assert main(["predict", str(tmp_path / "x.onnx"), str(tmp_path / "a.png")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
