"""Max-pooling between units, by the operator where it can."""

from __future__ import annotations

from typing import Optional

import paddle
from paddle import Tensor, nn
from paddle.base import core
from paddle.base.framework import _dygraph_tracer

from . import build, mode
from .unit import _TO_NCHW, _channels_last


@paddle.jit.not_to_static  # an exported graph holds plain operators
def max_pool(layer: nn.MaxPool2D, x: Tensor) -> Optional[Tensor]:
    """Return what the layer makes of ``x``, or None where plain Paddle has to compute it.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if mode() == "off" or not paddle.in_dynamic_mode() or not _known(layer, x):
        return None
    if build.library() is None:
        return None
    nchw = layer.data_format == "NCHW"
    y = core.eager._run_custom_op(
        "paddle_resnet_max_pool",
        _channels_last(x) if nchw else x,
        layer.ksize,
        layer.ksize if layer.stride is None else layer.stride,
        layer.padding,
        layer.ceil_mode,
    )[0]
    return y.transpose(_TO_NCHW) if nchw else y


def _known(layer: nn.MaxPool2D, x: Tensor) -> bool:
    """Return whether the operator knows this layer: square windows and float32 on a CPU."""
    stride = layer.ksize if layer.stride is None else layer.stride
    numbers = (layer.ksize, stride, layer.padding)
    if layer.return_mask or not all(type(number) is int for number in numbers):
        return False
    # The number of a tap is kept in a byte; every window must hold a pixel.
    if not 1 <= layer.ksize <= 15 or stride < 1 or not 0 <= layer.padding <= layer.ksize // 2:
        return False
    if x.dtype != paddle.float32 or not x.place.is_cpu_place() or x.ndim != 4 or 0 in x.shape:
        return False
    if _dygraph_tracer()._amp_level != core.AmpLevel.O0:
        return False
    sides = x.shape[2:] if layer.data_format == "NCHW" else x.shape[1:3]
    outside = layer.ceil_mode and stride > layer.ksize - layer.padding
    return not outside and all(n + 2 * layer.padding >= layer.ksize for n in sides)
