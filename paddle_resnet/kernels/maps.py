"""Maps of float32 and of bfloat16 numbers: from one to the other, and to two readers."""

from __future__ import annotations

from typing import Callable

import paddle
from paddle import Tensor
from paddle.base import core

from . import build, mode

#: Orders of the dimensions, from each layout to the other one.
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def bfloat16_works() -> bool:
    """Return whether the operator takes bfloat16 maps on this machine; build it if need be.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if mode() == "off":
        return False
    library = build.library()
    return library is not None and library.paddle_resnet_can_bfloat16()


def convert(x: Tensor, dtype: str) -> Tensor:
    """Return a map in other numbers, in the layout that it has in memory.

    Paddle's own ``cast`` brings a view of channels-last memory into NCHW first, forward and
    backward; and before Paddle 3 it does not round.

    Args:
        x: of any shape, float32 or bfloat16, on a CPU.
        dtype: ``float32`` or ``bfloat16``.
    """
    if x.dtype == getattr(paddle, dtype):
        return x
    x, restore = _dense(x)
    if mode() == "off" or build.library() is None:
        return restore(x.cast(dtype))
    return restore(core.eager._run_custom_op("paddle_resnet_convert", x)[0])


@paddle.jit.not_to_static  # an exported graph holds plain operators
def fork(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return a map twice, for two readers whose gradients are then added up in one fast loop.

    Where a map is not bfloat16 there is nothing to gain: Paddle's own sum is as fast.
    """
    if (
        not paddle.in_dynamic_mode()
        or x.dtype != paddle.bfloat16
        or x.stop_gradient
        or not x.place.is_cpu_place()
        or not paddle.is_grad_enabled()
        or mode() == "off"
        or build.library() is None
    ):
        return x, x
    x, restore = _dense(x)
    first, second = core.eager._run_custom_op("paddle_resnet_fork", x)
    return restore(first), restore(second)


def _dense(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return a map in the order that it has in memory, and what brings the order back."""
    if x.ndim != 4 or x.is_contiguous():
        return x, lambda y: y
    return x.transpose(TO_NHWC), lambda y: y.transpose(TO_NCHW)
