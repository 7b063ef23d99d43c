"""Gradients of several batches in one update."""

from __future__ import annotations

from collections.abc import Iterable

import paddle
from paddle import Tensor


class GradientAccumulator:
    """Weights the losses of several batches, so that their gradients add up to one mean.

    The update is that of one batch with all their samples, whether the batches are of equal sizes
    or not, and also if the epoch ends before the last of them. (BN sees each batch by itself.)

    Args:
        batches (int): of one update. Default: 1.
    """

    def __init__(self, batches: int = 1) -> None:
        self.batches = batches
        #: Batches since the last update.
        self.pending = 0
        self._first = self._samples = 0

    @property
    def is_full(self) -> bool:
        """Whether the update has all its batches."""
        return self.pending >= self.batches

    def add(self, samples: int) -> float:
        """Count a batch, and return the factor of its loss (a mean over samples)."""
        if not self.pending:
            self._first, self._samples = samples, 0
        self.pending += 1
        self._samples += samples
        # Relative to the first batch: the factor of a usual batch is 1, which costs nothing and
        # leaves the range of half precision alone.
        return samples / self._first

    def finish(self, parameters: Iterable[Tensor]) -> None:
        """Turn the sum of gradients into the mean; the next batch is the first of an update."""
        factor = self._first / self._samples if self._samples else 1.0
        self.reset()
        if factor != 1.0:
            with paddle.no_grad():
                for parameter in parameters:
                    if parameter.grad is not None:
                        parameter.grad.scale_(factor)

    def reset(self) -> None:
        """Forget the batches since the last update."""
        self.pending = 0
