"""Which path computes a network's convolutions, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn

from . import conv_bn_act


def describe(network: nn.Layer, input_shape: Sequence[int]) -> str:
    """Run a network on one blank image, and say what computed its conv + BN units.

    Args:
        network: in any mode, which stays as it is.
        input_shape: of one image, without the batch.

    Returns:
        str: such as ``"53 conv + BN units: CPU operator, bfloat16"``; units that fell back to plain
        Paddle are counted, with the reason.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    fused, half, fallbacks = (
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
    fused, half = conv_bn_act.fused_calls - fused, conv_bn_act.bfloat16_calls - half
    fallbacks = conv_bn_act.fallback_counts - fallbacks
    if not fused:
        return "conv + BN units: plain Paddle, float32"
    reasons = "".join(f"; {n} by plain Paddle ({why})" for why, n in fallbacks.items())
    numbers = "bfloat16" if half else "float32"
    if 0 < half < fused:
        numbers = f"{half} in bfloat16, {fused - half} in float32"
    return f"{fused} conv + BN units: CPU operator, {numbers}{reasons}"
