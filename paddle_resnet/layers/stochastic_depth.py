"""Leaving residual functions out while training."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from ..errors import ModelError


class StochasticDepth(nn.Layer):
    """In training, drop the residual function of some images and scale it for the others.

    Huang et al. 2016 (arXiv:1603.09382), equation (2); each image draws for itself, and the
    scaling by 1 / (1 - rate) happens here so that evaluation needs none.

    Args:
        rate (float): the probability of dropping, from 0 up to but not including 1.

    Raises:
        ModelError: a rate outside of that.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ModelError(f"stochastic_depth must be at least 0 and less than 1, got {rate}.")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with whole images at zero, the others divided by the survival rate."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * (paddle.bernoulli(paddle.full_like(x[:, :1, :1, :1], keep)) / keep)

    def extra_repr(self) -> str:
        """Name the rate in ``print(network)``."""
        return f"rate={self.rate:.3f}"
