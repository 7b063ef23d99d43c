"""The running statistics of batch norms: taking a forward pass back."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn


class RunningStatistics:
    """Remembers the running means and variances of a network.

    A forward pass in train mode moves them before anybody knows whether its loss is a number: one
    bad batch would leave NaN in what evaluation uses, though no weight was touched.
    """

    def __init__(self, network: nn.Layer) -> None:
        self._tensors: list[Tensor] = [
            tensor
            for layer in network.sublayers(include_self=True)
            for name in ("_mean", "_variance")
            if isinstance(tensor := getattr(layer, name, None), paddle.Tensor)
        ]
        self._kept: list[Tensor] = []

    def keep(self) -> None:
        """Remember them as they are now."""
        self._kept = [tensor.clone() for tensor in self._tensors]

    def restore(self) -> None:
        """Put back what :meth:`keep` saw."""
        for tensor, kept in zip(self._tensors, self._kept):
            tensor.set_value(kept)
