"""An ONNX file from anyone: what it holds is checked before a runtime sees it."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

from ..errors import DeployError, for_display
from ..interrupts import deferred_interrupt
from .manifest import Manifest

#: Bound of protobuf itself.
MAX_BYTES = 2**31 - 1
#: Elements of the largest activation of one image: 2 GB as float32. ResNet-152 has 0.8 million.
MAX_ELEMENTS = 2**29
#: Packages of the extras in setup.py.
EXTRAS = {
    "onnx": "onnx onnxruntime ml_dtypes",
    "openvino": "openvino",
    "serve": "fastapi uvicorn python-multipart prometheus-client",
}
INPUT, LOGITS, PROBABILITIES = "image", "logits", "probabilities"
#: What the networks of this package consist of, in float32 and int8. None of them reads files,
#: runs for ever or has a graph inside.
_OPERATORS = """
Add AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv DequantizeLinear
Div Elu Erf Expand Flatten Gelu Gemm GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish
Identity InstanceNormalization LeakyRelu MatMul MaxPool Mul PRelu Pad QuantizeLinear ReduceMax
ReduceMean Relu Reshape Shape Sigmoid Slice Softmax Softplus Sqrt Squeeze Sub Tanh Transpose
Unsqueeze
"""
OPERATORS = frozenset(_OPERATORS.split())
#: Attributes that runtimes divide by unchecked: 0 ends the process.
_DIVISORS = ("strides", "dilations", "kernel_shape", "group")


def read_onnx(path: Path) -> tuple[bytes, Manifest]:
    """Read an exported file and check it.

    Returns:
        tuple: the file's bytes, for a runtime, and its manifest.

    Raises:
        DeployError: it cannot be read, is no ONNX file, or holds anything that an export of this
            package does not: other operators, data in other files, sizes without bound.
    """
    onnx = import_onnx()
    content = _content(path)
    try:
        model = onnx.load_model_from_string(content)
    except Exception:
        raise DeployError(f"'{for_display(path)}' is no ONNX file, or a corrupt one.") from None
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if len(texts) < len(model.metadata_props):  # which one counts differs from runtime to runtime
        raise DeployError(f"'{for_display(path)}' has metadata of one name twice.")
    manifest = Manifest.from_strings(texts, path)
    problem = _problem(onnx, model, manifest)
    if problem:
        raise DeployError(f"'{for_display(path)}' is not used: {problem}.")
    return content, manifest


def import_onnx():  # type: ignore[no-untyped-def]
    """Return the module `onnx`.

    Raises:
        DeployError: it is not installed; says how to install it.
    """
    try:
        with deferred_interrupt():
            import onnx
    except ImportError as error:
        raise missing("onnx", error) from None
    return onnx


def missing(package: str, error: ImportError, extra: str = "onnx") -> DeployError:
    """Return the error for a package of an extra that cannot be imported."""
    reason = "is not installed" if isinstance(error, ModuleNotFoundError) else f"fails: {error}"
    return DeployError(f"{package} {reason}: run `pip install {EXTRAS[extra]}`.")


def _content(path: Path) -> bytes:
    try:
        # Before it is opened: opening a pipe waits for whoever writes into it, perhaps for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DeployError(f"'{for_display(path)}' is no file.")
        with open(path, "rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_size > MAX_BYTES:
                raise DeployError(
                    f"'{for_display(path)}' is larger than 2 GB: no ONNX file can be."
                )
            return file.read()
    except OSError as error:
        raise DeployError(f"'{for_display(path)}' cannot be read: {error.strerror}.") from None


def _problem(onnx, model, manifest: Manifest) -> str:  # type: ignore[no-untyped-def]
    """Return why a model is refused, or an empty string."""
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        return "it has functions, training steps or sparse weights, which no export has"
    tensors = [*graph.initializer]
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            return f"it has an operator of '{for_display(node.domain)}'"
        if node.op_type not in OPERATORS:
            return f"it has the operator '{for_display(node.op_type)}', which no network here has"
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                return f"its operator '{node.op_type}' holds a graph"
            if attribute.name in _DIVISORS and min(_integers(onnx, attribute), default=0) < 1:
                return f"its operator '{node.op_type}' has a wrong value of '{attribute.name}'"
            tensors += [attribute.t] if attribute.HasField("t") else []
            tensors += attribute.tensors
    if any(t.data_location == t.EXTERNAL or t.external_data for t in tensors):
        return "its weights lie in another file"
    if any(size < 1 for tensor in tensors for size in tensor.dims):
        return "it has a weight without numbers"
    return _wrong_interface(onnx, graph, manifest) or _too_large(onnx, model)


def _integers(onnx, attribute) -> list[int]:  # type: ignore[no-untyped-def]
    """Return the values of an attribute of integers; none of another."""
    if attribute.type == onnx.AttributeProto.INTS:
        return list(attribute.ints)
    return [attribute.i] if attribute.type == onnx.AttributeProto.INT else []


def _wrong_interface(onnx, graph, manifest: Manifest) -> str:  # type: ignore[no-untyped-def]
    weights = {tensor.name for tensor in graph.initializer}
    inputs = {i.name: i.type.tensor_type for i in graph.input if i.name not in weights}
    if list(inputs) != [INPUT] or inputs[INPUT].elem_type != onnx.TensorProto.UINT8:
        return f"it must have one input, uint8 '{INPUT}'"
    sizes = [dim.dim_value for dim in inputs[INPUT].shape.dim]
    if sizes != [0, *manifest.input_shape]:
        return f"its input is {sizes}, but its metadata say {['N', *manifest.input_shape]}"
    if {LOGITS, PROBABILITIES} != {output.name for output in graph.output}:
        return f"it must have the outputs '{LOGITS}' and '{PROBABILITIES}'"
    for output in graph.output:
        dims = output.type.tensor_type.shape.dim
        if output.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            return f"its output '{output.name}' must be float32"
        if len(dims) != 2 or dims[1].dim_value != len(manifest.classes):
            return f"it must give {len(manifest.classes)} {output.name}, one for each class"
    return ""


def _too_large(onnx, model) -> str:  # type: ignore[no-untyped-def]
    """Compute the shapes for one image: a few bytes can ask for petabytes."""
    one = onnx.ModelProto()
    one.CopyFrom(model)
    one.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del one.graph.value_info[:]  # the file's own claims
    try:
        inferred = onnx.shape_inference.infer_shapes(one, strict_mode=True, data_prop=True)
    except Exception as error:
        reason = str(error).strip().splitlines()
        return (
            f"its shapes do not fit together ({for_display(reason[-1] if reason else 'unknown')})"
        )
    graph = inferred.graph
    types = {each.name: each.type.tensor_type for each in (*graph.value_info, *graph.output)}
    for node in graph.node:
        for name in filter(None, node.output):
            kind = types.get(name, onnx.TypeProto.Tensor())
            sizes = [dim.dim_value for dim in kind.shape.dim]
            if not kind.HasField("shape") or min(sizes, default=1) < 1:
                return f"the size of what its operator '{node.op_type}' gives depends on the image"
            if math.prod(sizes) > MAX_ELEMENTS:
                return f"one image would become a tensor of {math.prod(sizes):,} numbers"
            if node.op_type == "Div" and kind.elem_type != onnx.TensorProto.FLOAT:
                return "it divides integers"  # by 0, that ends the process
    return ""
