"""A network as the static program that Paddle's `jit.save` writes."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ...errors import DeployError
from ...interrupts import deferred_interrupt
from .plain_layers import with_plain_layers


class Exported(nn.Layer):
    """The network between NCHW float32 images, normalised, and logits or probabilities."""

    def __init__(self, network: nn.Layer, softmax: bool) -> None:
        super().__init__()
        self.network = with_plain_layers(network)
        self.softmax = softmax

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 ``[N, classes]``."""
        outputs = self.network(x)
        logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        return F.softmax(logits, axis=-1) if self.softmax else logits


@deferred_interrupt()
def save_program(
    network: nn.Layer, input_shape: list[int], folder: Path, *, softmax: bool
) -> tuple[Path, Path]:
    """Save a network in eval mode, with a batch size that is left open.

    Args:
        network: of float32 images, normalised.
        input_shape: ``[C, H, W]`` of one image.
        folder: takes ``inference.json`` or, from Paddle 2, ``inference.pdmodel``, and
            ``inference.pdiparams``.
        softmax: whether the program ends with probabilities rather than logits.

    Returns:
        tuple: the program and its parameters.

    Raises:
        DeployError: Paddle cannot make a program of it, such as of a layer that works in NumPy.
    """
    exported = Exported(network, softmax)
    exported.eval()
    spec = [paddle.static.InputSpec([None, *input_shape], "float32", "x")]
    try:
        with _quiet():
            static = paddle.jit.to_static(exported, input_spec=spec, full_graph=True)
            paddle.jit.save(static, str(folder / "inference"))
    except OSError:
        raise
    except Exception as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise DeployError(
            f"Paddle cannot make a static program of this network: {(reason or ['unknown'])[-1]}"
        ) from error
    names = ("inference.json", "inference.pdmodel")
    program = next((folder / name for name in names if (folder / name).is_file()), None)
    parameters = folder / "inference.pdiparams"
    if program is None or not parameters.is_file():
        raise DeployError("Paddle wrote no program of this network.")
    return program, parameters


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide Paddle's remarks on how it translates Python; its C++ writes to descriptor 2."""
    logger = logging.getLogger("paddle")
    level = logger.level
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
