"""Optimizers from recipes."""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.regularizer import L2Decay

from ..config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, network: nn.Layer) -> paddle.optimizer.Optimizer:
    """Return the optimizer of a recipe for all trainable parameters of a network.

    Weight decay acts on weights of two and more dimensions; biases and the scales and shifts of
    norms are left alone unless ``decay_norm_and_bias`` is set (He et al. 2018, arXiv:1812.01187,
    section 3.1, "no bias decay").
    """
    weights, others = [], []
    for parameter in network.parameters():
        if not parameter.stop_gradient:
            (weights if parameter.ndim > 1 else others).append(parameter)
    if config.name == "adamw":
        # Loshchilov & Hutter 2017, arXiv:1711.05101
        return paddle.optimizer.AdamW(
            learning_rate=config.lr,
            parameters=[
                {"params": weights, "weight_decay": config.weight_decay},
                {
                    "params": others,
                    "weight_decay": config.weight_decay if config.decay_norm_and_bias else 0.0,
                },
            ],
        )
    decay = L2Decay(config.weight_decay) if config.weight_decay else None
    # A group's own None would mean "take the optimizer's"; 0 has to be said.
    no_decay = decay if config.decay_norm_and_bias else L2Decay(0.0)
    return paddle.optimizer.Momentum(
        learning_rate=config.lr,
        momentum=config.momentum,
        use_nesterov=config.nesterov,
        parameters=[
            {"params": weights, "weight_decay": decay},
            {"params": others, "weight_decay": no_decay if decay else None},
        ],
    )
