"""Max-pooling between units, by the operator where it can."""

from __future__ import annotations

from typing import Callable, Optional

import paddle
from paddle import Tensor, nn
from paddle.base import core

from . import build, mode
from .activations import TO_NCHW, cast, channels_last, is_activation

#: The number of a window's tap is kept in a byte.
LARGEST_WINDOW = 15


@paddle.jit.not_to_static  # an exported graph holds plain operators
def max_pool(layer: nn.MaxPool2D, x: Tensor, plain: Callable[[Tensor], Tensor]) -> Optional[Tensor]:
    """Return what the layer makes of ``x``, or None where plain Paddle has to compute it.

    Where the operator does not know a layer, a bfloat16 map becomes float32 for ``plain``, which
    has no kernels for it on a CPU, and comes back as bfloat16.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if not paddle.in_dynamic_mode():
        return None
    if mode() == "off" or not (knows(layer) and _takes(layer, x)) or build.library() is None:
        half = x.dtype == paddle.bfloat16 and x.place.is_cpu_place()
        return cast(plain(cast(x, "float32")), "bfloat16") if half else None
    nchw = layer.data_format == "NCHW"
    y = core.eager._run_custom_op(
        "paddle_resnet_max_pool",
        channels_last(x) if nchw else x,
        layer.ksize,
        layer.ksize if layer.stride is None else layer.stride,
        layer.padding,
        layer.ceil_mode,
    )[0]
    return y.transpose(TO_NCHW) if nchw else y


def knows(layer: nn.MaxPool2D) -> bool:
    """Return whether the operator knows this layer: square windows."""
    stride = layer.ksize if layer.stride is None else layer.stride
    numbers = (layer.ksize, stride, layer.padding)
    if layer.return_mask or not all(type(number) is int for number in numbers):
        return False
    # Every window must hold a pixel.
    holds = stride >= 1 and 0 <= layer.padding <= layer.ksize // 2
    return holds and 1 <= layer.ksize <= LARGEST_WINDOW


def _takes(layer: nn.MaxPool2D, x: Tensor) -> bool:
    """Return whether the operator takes this map: on a CPU, with a pixel in each window."""
    stride = layer.ksize if layer.stride is None else layer.stride
    if not is_activation(x):
        return False
    sides = x.shape[2:] if layer.data_format == "NCHW" else x.shape[1:3]
    outside = layer.ceil_mode and stride > layer.ksize - layer.padding
    return not outside and all(n + 2 * layer.padding >= layer.ksize for n in sides)
