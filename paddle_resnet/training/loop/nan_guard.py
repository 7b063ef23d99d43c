"""Losses, BN statistics and weights that are NaN or infinite: none may reach what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import numpy as np
import paddle
from paddle import Tensor, nn

from ...errors import TrainingError


class NonFiniteError(TrainingError):
    """A loss, a BN statistic or a weight became NaN or infinite."""


class NonFiniteStep(NonFiniteError):
    """A step with such a loss or BN statistic, which was taken back.

    Args:
        what: which, as the beginning of a sentence.
        step: of the epoch, from 1. Default: unknown, the batch was trained on by itself.
        epoch: from 1.
    """

    def __init__(
        self, what: str, *, step: Optional[int] = None, epoch: Optional[int] = None
    ) -> None:
        self.what, self.step, self.epoch = what, step, epoch
        super().__init__(
            f"{what}: this step was left out, and the weights are as they were."
            if step is None
            else f"{what} in step {step} of epoch {epoch}: training stopped before this step "
            "changed the weights. A smaller learning rate or a longer warm-up helps most often, "
            "unless images hold NaN or infinities."
        )


@contextmanager
def step_of_epoch(step: int, epoch: int) -> Iterator[None]:
    """Let a :class:`NonFiniteStep` that is raised within this block name step and epoch."""
    try:
        yield
    except NonFiniteStep as error:
        raise NonFiniteStep(error.what, step=step, epoch=epoch) from None


def check_finite(network: nn.Layer, where: str) -> None:
    """Raise an error if a weight or BN statistic is not finite: no file may be made of it.

    Args:
        network: the network.
        where: ``step 10``, for the sentence.

    Raises:
        NonFiniteError: one is.
    """
    for name, tensor in network.state_dict().items():
        if not np.isfinite(tensor.numpy()).all():
            raise NonFiniteError(
                f"after {where}, '{name}' holds NaN or infinite values: training stopped, and what "
                "was saved before stays as it is. A smaller learning rate or a longer warm-up "
                "helps most often."
            )


class BatchNormSnapshot:
    """The running means and variances of a network, to take a forward pass back.

    A forward pass in train mode changes them before its loss is known: one bad batch would leave
    NaN in what evaluation uses, though no weight was changed.
    """

    def __init__(self, network: nn.Layer) -> None:
        self._buffers: list[Tensor] = [
            tensor
            for layer in network.sublayers(include_self=True)
            for name in ("_mean", "_variance")
            if isinstance(tensor := getattr(layer, name, None), paddle.Tensor)
        ]
        # One check per dtype: this runs in every step.
        self._by_dtype = [
            [tensor for tensor in self._buffers if tensor.dtype == dtype and tensor.ndim == 1]
            for dtype in {tensor.dtype for tensor in self._buffers if tensor.ndim == 1}
        ]
        self._copies: list[Tensor] = []

    def take(self) -> None:
        """Copy the present statistics."""
        self._copies = [tensor.clone() for tensor in self._buffers]

    def is_finite(self) -> bool:
        """Return whether all statistics are finite, which the loss does not show.

        Paddle's ReLU on CPUs turns NaN into 0: one infinite pixel then spoils a channel's
        statistics and gradients, and the loss stays finite.
        """
        return all(bool(paddle.isfinite(paddle.concat(group)).all()) for group in self._by_dtype)

    def restore(self) -> None:
        """Put the copies back."""
        for tensor, copy in zip(self._buffers, self._copies):
            tensor.set_value(copy)
