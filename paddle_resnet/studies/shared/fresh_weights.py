"""Weights drawn again: a trained network, or a part of it, as if it had not been trained."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn


def draw_again(layer: nn.Layer, seed: int) -> None:
    """Draw all weights below a layer as a new network has them; norms start at 1, 0, mean 0, var 1.

    Convolutions by He with fan-out, as in :class:`~paddle_resnet.layers.ConvBNLayer`; linear
    layers by Glorot, as in Paddle.
    """
    paddle.seed(seed)
    for one in layer.sublayers(include_self=True):
        if isinstance(one, nn.Conv2D):
            out, _, height, width = one.weight.shape
            nn.initializer.KaimingNormal(fan_in=height * width * out // one._groups)(one.weight)
            _fill(one.bias, 0.0)
        elif isinstance(one, nn.Linear):
            nn.initializer.XavierUniform()(one.weight)
            _fill(one.bias, 0.0)
        elif hasattr(one, "_variance"):
            for parameter, value in ((one.weight, 1.0), (one.bias, 0.0)):
                _fill(parameter, value)
            _fill(one._mean, 0.0)
            _fill(one._variance, 1.0)


def _fill(parameter: paddle.Tensor | None, value: float) -> None:
    if parameter is not None:
        parameter.set_value(np.full(parameter.shape, value, np.float32))
