"""Which backend computes a network's convolutions, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn

from . import conv_bn_act


def describe(network: nn.Layer, input_shape: Sequence[int]) -> str:
    """Run a network on one zero image and describe the backend of its conv-BN layers.

    Args:
        network: in any mode, which is restored.
        input_shape: of one image, without the batch.

    Returns:
        str: such as ``"53 conv-BN layers: CPU operator, bfloat16"``. Layers that fell back to plain
        Paddle are counted, with the reason.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    fused, bfloat16, fallbacks = (
        conv_bn_act.fused_calls,
        conv_bn_act.bfloat16_calls,
        +conv_bn_act.fallback_counts,
    )
    network.eval()
    try:
        with paddle.no_grad():
            network(paddle.zeros([1, *input_shape]))
    finally:
        for layer, training in modes:
            layer.training = training
    fused = conv_bn_act.fused_calls - fused
    bfloat16 = conv_bn_act.bfloat16_calls - bfloat16
    fallbacks = conv_bn_act.fallback_counts - fallbacks
    if not fused:
        return "conv-BN layers: plain Paddle, float32"
    reasons = "".join(f"; {n} by plain Paddle ({why})" for why, n in fallbacks.items())
    dtype = "bfloat16" if bfloat16 else "float32"
    if 0 < bfloat16 < fused:
        dtype = f"{bfloat16} in bfloat16, {fused - bfloat16} in float32"
    return f"{fused} conv-BN layers: CPU operator, {dtype}{reasons}"
