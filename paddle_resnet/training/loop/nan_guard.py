"""The running statistics of batch norms: taking a forward pass back."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn


class BatchNormSnapshot:
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
        # As few operations as can be, in every step: those of one dtype are looked at together.
        self._alike = [
            [tensor for tensor in self._tensors if tensor.dtype == dtype and tensor.ndim == 1]
            for dtype in {tensor.dtype for tensor in self._tensors if tensor.ndim == 1}
        ]
        self._kept: list[Tensor] = []

    def keep(self) -> None:
        """Remember them as they are now."""
        self._kept = [tensor.clone() for tensor in self._tensors]

    def are_finite(self) -> bool:
        """Whether all of them are numbers: a loss can be one although they are not.

        Of NaN a ReLU makes 0 (Paddle's does on a CPU), so one infinite pixel spoils a channel's
        statistics and its gradients, and the loss does not show it.
        """
        return all(bool(paddle.isfinite(paddle.concat(alike)).all()) for alike in self._alike)

    def restore(self) -> None:
        """Put back what :meth:`keep` saw."""
        for tensor, kept in zip(self._tensors, self._kept):
            tensor.set_value(kept)
