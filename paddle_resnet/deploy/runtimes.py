"""The runtimes of exported files. All of them may be called from several threads at once."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, Optional, Protocol

import numpy as np

from .. import cpu_runtime as machine
from ..errors import DeployError, did_you_mean, for_display
from ..interrupts import deferred_interrupt
from .manifest import Manifest
from .onnx_file import INPUT, LOGITS, PROBABILITIES, missing

RUNTIMES = ("onnxruntime", "openvino", "paddle")


class Runtime(Protocol):
    """An exported network in memory."""

    #: Such as ``onnxruntime 1.32.0``.
    name: str

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and probabilities, float32 ``[N, classes]``, of uint8 ``[N, C, H, W]``."""
        ...


class OnnxRuntime:
    """ONNX Runtime on the CPU, the reference runtime.

    Args:
        content: of the file.
        threads: default: all cores that this process may use.
    """

    def __init__(self, content: bytes, threads: Optional[int] = None) -> None:
        try:
            with deferred_interrupt():
                import onnxruntime
        except ImportError as error:
            raise missing("onnxruntime", error) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or machine.available_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what fails is raised too
        # Threads that spin between layers take cores from whoever decodes images beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise DeployError(f"ONNX Runtime refuses the file: {_first_line(error)}.") from None
        self.name = f"onnxruntime {onnxruntime.__version__}"

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and probabilities."""
        # The session itself may be shared by threads.
        try:
            return tuple(self._session.run([LOGITS, PROBABILITIES], {INPUT: images}))
        except Exception as error:
            raise DeployError(f"ONNX Runtime failed: {_first_line(error)}.") from None


class OpenVino:
    """OpenVINO on the CPU.

    Args:
        content: of the file.
        threads: default: all cores that this process may use.
        precision: ``float32`` or ``bfloat16``. OpenVINO's own default depends on the CPU.
    """

    def __init__(
        self, content: bytes, threads: Optional[int] = None, precision: str = "float32"
    ) -> None:
        try:
            with deferred_interrupt():
                import openvino
        except ImportError as error:
            raise missing("openvino", error, "openvino") from None
        core = openvino.Core()
        hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
        options = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads or machine.available_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            model = core.read_model(content)
            self._model = core.compile_model(model, "CPU", options)
        except Exception as error:
            raise DeployError(f"OpenVINO refuses the file: {_first_line(error)}.") from None
        # An infer request belongs to one thread.
        self._local = threading.local()
        self.name = f"openvino {openvino.__version__.split('-')[0]} {hint}"

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and probabilities."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        answer = request.infer({INPUT: images})
        return np.array(answer[LOGITS]), np.array(answer[PROBABILITIES])


class PaddleInference:
    """Paddle Inference on the CPU, of the folder that ``--format paddle`` writes.

    Args:
        program: ``inference.json`` or ``inference.pdmodel``.
        parameters: ``inference.pdiparams``.
        manifest: the normalization is done here, outside of the graph.
        threads: default: all cores that this process may use.
        precision: ``float32`` or ``bfloat16``.
        onednn: whether oneDNN computes. Default: yes, several times as fast.
    """

    def __init__(
        self,
        program: Path,
        parameters: Path,
        manifest: Manifest,
        threads: Optional[int] = None,
        precision: str = "float32",
        onednn: bool = True,
    ) -> None:
        machine.import_paddle()
        with deferred_interrupt():
            import paddle
            from paddle import inference

        config = inference.Config(str(program), str(parameters))
        config.disable_gpu()
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(threads or machine.available_cores())
        if onednn:
            config.enable_mkldnn()
            # Kernels for that many shapes are kept; without a bound each batch size adds one.
            config.set_mkldnn_cache_capacity(16)
        else:
            disable = getattr(config, "disable_mkldnn", None)  # oneDNN is the default of some
            if disable is not None:
                disable()
        if precision == "bfloat16":
            config.enable_mkldnn_bfloat16()
        try:
            with machine.keep_threads():
                self._first = inference.create_predictor(config)
        except Exception as error:
            raise DeployError(f"Paddle Inference refuses it: {_first_line(error)}.") from None
        self._scale, self._shift = manifest.affine()
        # A predictor that threads share gives wrong answers without an error: each has its own.
        self._local, self._lock = threading.local(), threading.Lock()
        how = "oneDNN" if onednn else "without oneDNN"
        self.name = f"paddle inference {paddle.__version__} {how}" + (
            " bf16" if precision == "bfloat16" else ""
        )

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and probabilities; the former are centred, since softmax loses the rest."""
        predictor = self._predictor()
        x = images.astype(np.float32)
        x *= self._scale
        x += self._shift
        (name,) = predictor.get_input_names()
        predictor.get_input_handle(name).copy_from_cpu(x)
        with machine.keep_threads():
            predictor.run()
        (name,) = predictor.get_output_names()
        probabilities = predictor.get_output_handle(name).copy_to_cpu()
        return centred_logits(probabilities), probabilities

    def _predictor(self) -> Any:
        predictor = getattr(self._local, "predictor", None)
        if predictor is None:
            with self._lock, machine.keep_threads():
                predictor = self._local.predictor = self._first.clone()
        return predictor


def centred_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return logits with mean 0 in each row, from probabilities: float32 ``[N, classes]``.

    What lies more than 62 below the largest logit is lost: Paddle's softmax clips there, at 64.
    """
    logits = np.log(np.maximum(probabilities, np.float32(1e-27)))
    return logits - logits.mean(axis=1, keepdims=True)


def check_runtime(name: str) -> str:
    """Return the name of a runtime, where there is one of it.

    Raises:
        DeployError: there is none; says what comes nearest.
    """
    if name not in RUNTIMES:
        raise DeployError(
            f"unknown runtime '{name}', expected one of {', '.join(RUNTIMES)}."
            + did_you_mean(name, RUNTIMES)
        )
    return name


def _first_line(error: Exception) -> str:
    # ONNX Runtime begins with a code, the place in its source and the function's signature.
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+:\d+ .*?\) (?=\w)", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return for_display((lines or [type(error).__name__])[0].rstrip("."), 300)
