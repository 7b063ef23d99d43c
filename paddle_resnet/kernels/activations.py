"""Maps between units: in float32 or bfloat16, for two readers, seen channels last."""

from __future__ import annotations

import weakref
from typing import Any, Callable

import paddle
from paddle import Tensor
from paddle.base import core
from paddle.base.framework import _dygraph_tracer

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


def is_activation(x: Tensor) -> bool:
    """Return whether it is what the operators take: four dimensions, none empty, on a CPU."""
    return (
        x.dtype in (paddle.float32, paddle.bfloat16)
        and x.place.is_cpu_place()
        and x.ndim == 4
        and 0 not in x.shape
        and _dygraph_tracer()._amp_level == core.AmpLevel.O0
    )


def cast(x: Tensor, dtype: str) -> Tensor:
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
def branch(x: Tensor) -> tuple[Tensor, Tensor]:
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
    first, second = core.eager._run_custom_op("paddle_resnet_branch", x)
    return restore(first), restore(second)


#: Views of tensors that are alive, by id: ``(weak reference, view, backward passes so far)``.
_views: dict[int, tuple[Any, Tensor, int]] = {}


def channels_last(x: Tensor) -> Tensor:
    """Return an NHWC view of an NCHW tensor, the same one to each unit that reads the tensor.

    A block's input goes into its first convolution and past it. If both read one view, their
    gradients meet at the view and are added up there, in one piece of memory; with a view each they
    would meet at ``x``, and Paddle would first copy both into NCHW.

    Once a gradient was computed the old view may have lost its place in the graph: it is used no
    more.
    """
    passes = build.library().paddle_resnet_backward_passes()
    wants_gradient = paddle.is_grad_enabled() and not x.stop_gradient
    reference, view, when = _views.get(id(x), (None, None, 0))
    if (
        reference is None
        or reference() is not x
        or when != (passes, x.inplace_version)
        or view.stop_gradient == wants_gradient
    ):
        view = x.transpose(TO_NHWC)
        key = id(x)
        reference = weakref.ref(x, lambda _: _views.pop(key, None))
        _views[key] = reference, view, (passes, x.inplace_version)
    return view


def _dense(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return a map in the order that it has in memory, and what brings the order back."""
    if x.ndim != 4 or x.is_contiguous():
        return x, lambda y: y
    return x.transpose(TO_NHWC), lambda y: y.transpose(TO_NCHW)
