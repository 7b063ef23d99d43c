"""Activations between layers: dtype casts, gradient branches, channels-last views."""

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
    """Return whether the operator supports bfloat16 on this machine; build it if it is not built.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if mode() == "off":
        return False
    library = build.library()
    return library is not None and library.paddle_resnet_can_bfloat16()


def is_activation(x: Tensor) -> bool:
    """Return whether the operators take ``x``: 4 non-empty dimensions, on a CPU, without AMP."""
    return (
        x.dtype in (paddle.float32, paddle.bfloat16)
        and x.place.is_cpu_place()
        and x.ndim == 4
        and 0 not in x.shape
        and _dygraph_tracer()._amp_level == core.AmpLevel.O0
    )


def cast(x: Tensor, dtype: str) -> Tensor:
    """Return ``x`` in another dtype, in the same memory layout.

    Paddle's own ``cast`` transposes a view of channels-last memory to NCHW first, forward and
    backward. Before Paddle 3 it truncates in place of rounding.

    Args:
        x: float32 or bfloat16, of any shape, on a CPU.
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
    """Return ``x`` twice, for two consumers whose gradients are then summed by one fast loop.

    For bfloat16 only: in float32 Paddle's own sum is as fast.
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


#: Views of living tensors by id: ``(weak reference, view, (backward passes, inplace version))``.
_views: dict[int, tuple[Any, Tensor, tuple[int, int]]] = {}


def channels_last(x: Tensor) -> Tensor:
    """Return an NHWC view of an NCHW tensor; the same view for each layer that reads the tensor.

    A block's input is read by its first convolution and by its shortcut. If both read one view,
    their gradients are summed at the view, in NHWC. With a view each they would be summed at ``x``,
    and Paddle would copy both to NCHW first.

    A view is not reused after a backward pass, which may have freed its node of the graph.
    """
    passes = build.library().paddle_resnet_backward_passes()
    wants_gradient = paddle.is_grad_enabled() and not x.stop_gradient
    reference, view, version = _views.get(id(x), (None, None, (0, 0)))
    if (
        reference is None
        or reference() is not x
        or version != (passes, x.inplace_version)
        or view.stop_gradient == wants_gradient
    ):
        view = x.transpose(TO_NHWC)
        key = id(x)
        reference = weakref.ref(x, lambda _: _views.pop(key, None))
        _views[key] = reference, view, (passes, x.inplace_version)
    return view


def _dense(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return ``x`` with dimensions in memory order, and a function that restores the order."""
    if x.ndim != 4 or x.is_contiguous():
        return x, lambda y: y
    return x.transpose(TO_NHWC), lambda y: y.transpose(TO_NCHW)
