"""Max-pooling between layers, by the operator where it supports the layer."""

from __future__ import annotations

from typing import Callable, Optional

import paddle
from paddle import Tensor, nn
from paddle.base import core

from . import build, mode
from .activations import TO_NCHW, cast, channels_last, is_activation

#: The index of a maximum in its window is stored in a byte: 15 * 15 < 256.
LARGEST_WINDOW = 15


@paddle.jit.not_to_static  # an exported graph holds plain operators
def max_pool(layer: nn.MaxPool2D, x: Tensor, plain: Callable[[Tensor], Tensor]) -> Optional[Tensor]:
    """Return the pooled activation, or None if the caller has to compute it by plain Paddle.

    Plain Paddle has no bfloat16 pooling on a CPU. If the operator does not support the layer, a
    bfloat16 input is cast to float32, pooled by ``plain`` and cast back.

    Args:
        layer: its window, stride, padding and layout.
        x: ``[N, C, H, W]`` or ``[N, H, W, C]``, as the layer's ``data_format``.
        plain: computes the same by plain Paddle.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if not paddle.in_dynamic_mode():
        return None
    if (
        mode() == "off"
        or not (supports(layer) and _supports_input(layer, x))
        or build.library() is None
    ):
        bfloat16 = x.dtype == paddle.bfloat16 and x.place.is_cpu_place()
        return cast(plain(cast(x, "float32")), "bfloat16") if bfloat16 else None
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


def supports(layer: nn.MaxPool2D) -> bool:
    """Return whether the operator supports this layer: square windows, no returned mask."""
    stride = layer.ksize if layer.stride is None else layer.stride
    sizes = (layer.ksize, stride, layer.padding)
    if layer.return_mask or not all(type(size) is int for size in sizes):
        return False
    # Each window must contain a pixel.
    not_empty = stride >= 1 and 0 <= layer.padding <= layer.ksize // 2
    return not_empty and 1 <= layer.ksize <= LARGEST_WINDOW


def _supports_input(layer: nn.MaxPool2D, x: Tensor) -> bool:
    """Return whether the operator supports this input: on a CPU, with a pixel in each window."""
    stride = layer.ksize if layer.stride is None else layer.stride
    if not is_activation(x):
        return False
    sides = x.shape[2:] if layer.data_format == "NCHW" else x.shape[1:3]
    outside = layer.ceil_mode and stride > layer.ksize - layer.padding
    return not outside and all(n + 2 * layer.padding >= layer.ksize for n in sides)
