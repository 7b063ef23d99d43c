"""Gain of the CPU operator: training steps with and without it, in turn."""

from __future__ import annotations

import statistics
import time
from typing import Any, Optional

import paddle
from paddle.nn import functional as F

from .. import kernels
from ..errors import ModelError
from ..layers import activation_dtype
from ..models import Network, create_model, option_names
from ..stats import ratios


def stem_of(model: str, stem: Optional[str]) -> Optional[str]:
    """Return the stem to measure with: the CIFAR stem unless given, None if there is no choice.

    Raises:
        ModelError: an unknown network, or one that cannot have the stem that was given.
    """
    if "stem" in option_names(model):
        return stem or "cifar"
    if stem:
        raise ModelError(f"'{stem}' was asked for, but {model} has no choice of stems.")
    return None


def build(model: str, stem: Optional[str]) -> Network:
    """Build a network for 10 classes.

    Raises:
        ModelError: an unknown network, or one that cannot have the stem.
    """
    options = {} if stem is None else {"stem": stem}
    return create_model(model, num_classes=10, **options)


class Step:
    """One network and one batch; trains or infers with them, again and again.

    Args:
        model: a name of the registry.
        stem: ``cifar`` or ``imagenet``; default: cifar, where the network can choose.
        batch_size: images of a step.
        image_size: their height and width.
        precision: ``float32`` or ``bfloat16``, of what the operator computes.

    Raises:
        ModelError: an unknown network, or one that cannot have the stem.
    """

    def __init__(
        self,
        *,
        model: str = "resnet50",
        stem: Optional[str] = None,
        batch_size: int = 32,
        image_size: int = 32,
        precision: str = "float32",
    ) -> None:
        paddle.seed(0)
        self.precision = precision
        self.network = build(model, stem_of(model, stem))
        self.optimizer = paddle.optimizer.Momentum(0.01, parameters=self.network.parameters())
        self.images = paddle.randn([batch_size, 3, image_size, image_size])
        self.labels = paddle.randint(0, 10, [batch_size])

    def run(self, mode: str) -> float:
        """Do a training step in a mode of :mod:`paddle_resnet.kernels`; return its seconds."""
        with kernels.use(mode):
            began = time.perf_counter()
            with activation_dtype("float32" if mode == "off" else self.precision):
                loss = F.cross_entropy(self.network(self.images), self.labels)
            loss.backward()
            self.optimizer.step()
            self.optimizer.clear_grad()
            float(loss)
            return time.perf_counter() - began


def measure(*, rounds: int = 5, **step: Any) -> dict[str, Any]:
    """Time training steps (forward, backward, momentum) with and without the CPU operator.

    Both sides train one and the same network in one process, step by step in turn, so that a burst
    of load elsewhere on the machine hits both.

    Args:
        rounds: steps of each side that count; one more comes before them and does not.
        step: see :class:`Step`.

    Returns:
        dict: ``ours`` and ``paddle`` (images per second, medians), ``ratio`` (median of the rounds'
        ratios), ``ratio_min``, ``ratio_max``, ``rounds``, and what was given.

    Raises:
        Unavailable: the operator cannot be built.
        ModelError: an unknown network.
    """
    work = Step(**step)
    seconds = {"require": [], "off": []}
    for _ in range(rounds + 1):
        for mode, times in seconds.items():
            times.append(work.run(mode))
    ours, plain = seconds["require"][1:], seconds["off"][1:]
    batch_size = len(work.images)
    return {
        "ours": batch_size / statistics.median(ours),
        "paddle": batch_size / statistics.median(plain),
        **ratios(ours, plain),
        "rounds": rounds,
        **step,
    }
