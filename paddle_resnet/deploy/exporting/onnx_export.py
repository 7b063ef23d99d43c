"""A Paddle program as an ONNX file with its preprocessing, probabilities and facts inside."""

from __future__ import annotations

import errno
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DeployError
from ...interrupts import deferred_interrupt
from ..manifest import Manifest
from ..onnx_file import INPUT, LOGITS, PROBABILITIES, import_onnx, missing

#: 17 is from 2022 and has all that these networks need; Gelu came with 20.
OPSET = 17
#: Of the float input of the bare network, between the preprocessing and the first layer.
NORMALIZED = "normalized"
_WORKER = Path(__file__).with_name("convert_worker.py")
#: Operators of Paddle 3 programs that paddle2onnx 2.x converts, as far as networks here have them.
_WORDS = """
abs add assign batch_norm_ cast concat conv2d data divide dropout elu exp expand feed fetch
flatten full full_int_array full_like gelu hardsigmoid hardswish leaky_relu matmul max mean
multiply pad pad3d pool2d prelu relu relu6 reshape scale shape shape64 sigmoid silu slice softmax
split sqrt squeeze stack strided_slice subtract sum swish tanh transpose unsqueeze
"""
_KNOWN = frozenset(_WORDS.split())


def check_converter() -> None:
    """See to it that a program can be converted, before any work is done.

    Raises:
        DeployError: a package is missing, or paddle2onnx is not of the installed Paddle.
    """
    import paddle

    is_new = paddle.__version__.split(".")[0] not in ("1", "2")
    line = f"pip install 'paddle2onnx{'>=2.1' if is_new else '==1.3.1'}'"
    import_onnx()
    for package in ("onnxruntime", "ml_dtypes"):
        if importlib.util.find_spec(package) is None:
            raise missing(package, ModuleNotFoundError())
    try:
        version = importlib.metadata.version("paddle2onnx")
    except importlib.metadata.PackageNotFoundError:
        raise DeployError(f"paddle2onnx is not installed: run `{line}`.") from None
    # The converter is built for one line of Paddle and fails at its import beside the other.
    if (version.split(".")[0] != "1") != is_new:
        raise DeployError(
            f"paddle2onnx {version} cannot read programs of Paddle {paddle.__version__}: "
            f"run `{line}`."
        )


def convert(program: Path, parameters: Path, file: Path) -> None:
    """Convert a program of a bare network: float32 images, normalised, to logits.

    The file's input is ``normalized``, its output ``logits``, its batch dimension ``batch``; BN is
    folded into convolutions by ONNX Runtime's own optimisation.

    Raises:
        DeployError: paddle2onnx does not know an operator of it.
        OSError: the disk is full.
    """
    raw = file.with_name(f"raw-{file.name}")
    command = [sys.executable, str(_WORKER), str(program), str(parameters), str(raw), str(OPSET)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode or not _name_ends(raw):
        if shutil.disk_usage(file.parent).free < parameters.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.parent))
        raise DeployError(
            "paddle2onnx cannot convert this network: "
            + _reason(done.stdout + done.stderr, program)
        )
    fold(raw, file)
    raw.unlink()


@deferred_interrupt()
def fold(raw: Path, file: Path) -> None:
    """Let ONNX Runtime fold constants and BN and infer shapes; what is written is plain ONNX."""
    import onnxruntime
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnxruntime.set_default_logger_severity(3)
    quant_pre_process(str(raw), str(file), skip_symbolic_shape=True)


@deferred_interrupt()
def _name_ends(file: Path) -> bool:
    """Give input, output and batch dimension their names; return whether there is such a file."""
    onnx = import_onnx()
    try:
        model = onnx.load(str(file))
    except Exception:  # the converter may leave none or a part of one, and say nothing
        return False
    graph = model.graph
    if (len(graph.input), len(graph.output)) != (1, 1):
        return False
    (before,) = (value.name for value in graph.input)
    (after,) = (value.name for value in graph.output)
    new = {before: NORMALIZED, after: LOGITS}
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = new[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]  # shapes by other names
    graph.name = "network"
    onnx.save(model, str(file))
    return True


@deferred_interrupt()
def finish(bare: Path, manifest: Manifest, file: Path) -> None:
    """Set the preprocessing in front, softmax behind and the facts beside a bare network.

    The file's input is uint8 ``image`` ``[batch, C, H, W]``, its outputs are float32 ``logits``
    and ``probabilities`` ``[batch, classes]``.
    """
    onnx = import_onnx()
    from onnx import TensorProto, compose, helper, numpy_helper

    model = onnx.load(str(bare))
    scale, shift = manifest.affine()
    sizes = ["batch", *manifest.input_shape]
    front_graph = helper.make_graph(
        [
            helper.make_node("Cast", [INPUT], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["pixels", "pixel_scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "pixel_shift"], [f"{NORMALIZED}_pixels"]),
        ],
        "preprocessing",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, sizes)],
        [helper.make_tensor_value_info(f"{NORMALIZED}_pixels", TensorProto.FLOAT, sizes)],
        [
            numpy_helper.from_array(scale[None], "pixel_scale"),
            numpy_helper.from_array(shift[None], "pixel_shift"),
        ],
    )
    plain = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(plain)
    front = helper.make_model(front_graph, opset_imports=plain, ir_version=model.ir_version)
    merged = compose.merge_models(front, model, [(f"{NORMALIZED}_pixels", NORMALIZED)])
    del merged.opset_import[:]  # named twice by now
    merged.opset_import.extend(plain)
    graph = merged.graph
    graph.node.append(helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=-1))
    rows = ["batch", len(manifest.classes)]
    del graph.output[:]
    for name in (LOGITS, PROBABILITIES):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, rows))
    merged.producer_name, merged.producer_version = "paddle_resnet", manifest.paddle_resnet
    merged.doc_string = (
        f"{manifest.model}: uint8 {INPUT} {sizes}, RGB, to {LOGITS} and {PROBABILITIES} {rows}."
    )
    helper.set_model_props(merged, manifest.to_strings())
    onnx.checker.check_model(merged, full_check=True)
    onnx.save(merged, str(file))


def _reason(printed: str, program: Path) -> str:
    """Return why a conversion failed: the operators that it does not know, or its own words.

    Beside Paddle 3 it says only that there are such operators.
    """
    if "support" in printed and program.suffix == ".json":
        found = set(re.findall(r'"#":\s*"1\.(\w+)"', program.read_text(encoding="utf-8")))
        unknown = sorted(name for name in found - _KNOWN if not name.startswith("a_"))
        if unknown:
            return f"it does not know the operator {', '.join(unknown)}."
    named = re.search(r"not supported yet, including ([\w, ]+)", printed)
    if named:
        return f"it does not know the operator {named.group(1).strip(', ')}."
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = [line for line in lines if re.search("error|failed|cannot", line, re.IGNORECASE)]
    return (telling or lines or ["it gave no reason"])[0][:300]


def tensor_values(file: Path) -> dict[str, np.ndarray]:
    """Return the weights of a file by name, for tests and reports."""
    onnx = import_onnx()
    values: Any = onnx.load(str(file)).graph.initializer
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in values}
