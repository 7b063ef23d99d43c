"""Shortcut A: subsampled activations with added channels of zeros, by the operator."""

from __future__ import annotations

from typing import Callable, Optional

import paddle
from paddle import Tensor
from paddle.base import core

from . import build, mode
from .activations import TO_NCHW, cast, channels_last, is_activation


@paddle.jit.not_to_static  # an exported graph holds plain operators
def zero_pad(
    x: Tensor,
    stride: int,
    before: int,
    after: int,
    data_format: str,
    plain: Callable[[Tensor], Tensor],
) -> Optional[Tensor]:
    """Return every ``stride``-th pixel with more channels; None if the caller has to compute it.

    Without the operator, a bfloat16 input is cast to float32, padded by ``plain`` and cast back.

    Args:
        x: float32 or bfloat16, in ``data_format``.
        stride: of the pixels, in both directions.
        before, after: channels of zeros before and after those of ``x``.
        data_format: ``NCHW`` or ``NHWC``.
        plain: computes the same by plain Paddle.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if not paddle.in_dynamic_mode():
        return None
    if mode() == "off" or not is_activation(x) or build.library() is None:
        bfloat16 = x.dtype == paddle.bfloat16 and x.place.is_cpu_place()
        return cast(plain(cast(x, "float32")), "bfloat16") if bfloat16 else None
    nchw = data_format == "NCHW"
    y = core.eager._run_custom_op(
        "paddle_resnet_zero_pad", channels_last(x) if nchw else x, stride, before, after
    )[0]
    return y.transpose(TO_NCHW) if nchw else y
