"""Precision: which numbers the forward pass computes with, in training and in evaluation."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Callable, Optional, Union

import paddle
from paddle import nn

from .. import cpu_runtime
from ..config import Config
from ..errors import TrainingError, did_you_mean, for_display
from ..kernels.activations import bfloat16_works
from ..layers.activation_dtype import activation_dtype

DTYPES = ("auto", "float32", "float16", "bfloat16")
LEVELS = ("O0", "O1", "O2")
_LISTS = ("custom_white_list", "custom_black_list")
_SCALER = (
    "init_loss_scaling",
    "incr_ratio",
    "decr_ratio",
    "incr_every_n_steps",
    "decr_every_n_nan_or_inf",
    "use_dynamic_loss_scaling",
)


class Precision:
    """How a network computes.

    On a GPU it is Paddle's mixed precision. On a CPU bfloat16 is the dtype of the activations
    between layers that the CPU operator computes, see
    :mod:`paddle_resnet.layers.activation_dtype`; weights stay float32, whatever the level.

    Args:
        dtype (str): ``float32``, ``float16``, ``bfloat16``, or ``auto``: bfloat16 on CPUs that have
            units for it and the operator, float32 elsewhere; recipes measure which of them is
            faster, see :mod:`paddle_resnet.training.setup.precision_choice`. Default: ``float32``.
        level (str): ``O1`` computes convolutions and matrix products in ``dtype`` and keeps the
            weights in float32; ``O2`` keeps everything but norms in ``dtype``, beside a float32
            copy of the weights. Default: ``O1``.
        lists (dict): ``custom_white_list`` and ``custom_black_list`` of ``paddle.amp.auto_cast``.
        scaler (dict): arguments of ``paddle.amp.GradScaler``, of float16 alone: bfloat16 has the
            range of float32 and needs no scaling.

    Raises:
        TrainingError: an unknown dtype or level.
    """

    def __init__(
        self,
        dtype: str = "float32",
        level: str = "O1",
        lists: Optional[dict[str, Any]] = None,
        scaler: Optional[dict[str, Any]] = None,
    ) -> None:
        for name, given, known in (("dtype", dtype, DTYPES), ("level", level, LEVELS)):
            if given not in known:
                raise TrainingError(
                    f"unknown {name} {for_display(repr(given))} of mixed precision, expected one "
                    f"of {', '.join(known)}.{did_you_mean(str(given), known)}"
                )
        self._on_cpu = paddle.device.get_device().startswith("cpu")
        self.dtype = "float32" if level == "O0" else dtype
        self.level = level
        self.lists = lists or {}
        self.scaler = scaler or {}
        #: What does not come as it was asked for; empty where all does.
        self.notice = ""
        if self.dtype == "auto":
            gains = self._on_cpu and cpu_runtime.has_bfloat16_units() and bfloat16_works()
            self.dtype = "bfloat16" if gains else "float32"
        elif self._on_cpu and self.dtype == "float16":
            self.notice = "precision float16 needs a GPU; on this CPU the run computes in float32."
            self.dtype = "float32"
        elif self._on_cpu and self.dtype == "bfloat16" and not bfloat16_works():
            self.notice = (
                "precision bfloat16 needs the CPU operator (docs/cpu.md) or a GPU; "
                "on this CPU the run computes in float32."
            )
            self.dtype = "float32"
        elif self._on_cpu and self.dtype == "bfloat16" and not cpu_runtime.has_bfloat16_units():
            self.notice = "this CPU has no bfloat16 units: precision float32 is faster here."

    @classmethod
    def parse(cls, amp_configs: Union[str, dict[str, Any], Precision, None]) -> Precision:
        """Read what ``paddle.Model.prepare`` calls ``amp_configs``, and a ``dtype`` besides.

        Args:
            amp_configs: None or empty (float32); a level; or a dict with ``level``, ``dtype``
                (default: float16), and what :class:`Precision` takes as ``lists`` and ``scaler``,
                all at one level.

        Raises:
            TrainingError: an unknown key, level or dtype.
        """
        if isinstance(amp_configs, Precision):
            return amp_configs
        if not amp_configs:  # None, {} and "" are off, as in the base class
            return cls()
        given = {"level": amp_configs} if isinstance(amp_configs, str) else dict(amp_configs)
        known = ("level", "dtype", *_LISTS, *_SCALER)
        for key in given:
            if key not in known:
                raise TrainingError(
                    f"unknown key '{key}' of amp_configs, expected {', '.join(known)}."
                    + did_you_mean(str(key), known)
                )
        return cls(
            given.get("dtype", "float16"),
            given.get("level", "O1"),
            {key: given[key] for key in _LISTS if key in given},
            {key: given[key] for key in _SCALER if key in given},
        )

    @property
    def is_mixed(self) -> bool:
        """Whether Paddle's mixed precision is at work, on a GPU."""
        return self.dtype != "float32" and not self._on_cpu

    def autocast(self) -> AbstractContextManager:
        """Return the context in which forward passes belong, and losses too."""
        if self._on_cpu and self.dtype == "bfloat16":
            return activation_dtype("bfloat16")
        if not self.is_mixed:
            return nullcontext()
        return paddle.amp.auto_cast(level=self.level, dtype=self.dtype, **self.lists)

    def decorate(self, network: nn.Layer, optimizer: Optional[paddle.optimizer.Optimizer]) -> None:
        """Bring the weights into the form of level O2, in place."""
        if self.is_mixed and self.level == "O2":
            paddle.amp.decorate(network, optimizer, level="O2", dtype=self.dtype)

    def make_scaler(self) -> Optional[paddle.amp.GradScaler]:
        """Return what keeps small float16 gradients from becoming 0; None where nothing must."""
        return paddle.amp.GradScaler(**self.scaler) if self.dtype == "float16" else None


def run_precision(config: Optional[Config], notify: Callable[[str], None]) -> Precision:
    """Return what a run computes in, for work with its weights: float32 without a run.

    Args:
        config: the run's own recipe; None for weights of no run.
        notify: takes a line where it does not come as the recipe has it.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if config is None:
        return Precision()
    precision = Precision(config.train.precision, config.train.amp_level)
    if precision.notice:
        notify(f"notice: {precision.notice}")
    return precision
