"""Optimizers from recipes."""

from __future__ import annotations

from typing import Callable, Optional

import paddle
from paddle import Tensor, nn
from paddle.optimizer import Optimizer
from paddle.regularizer import L2Decay

from ..config import OptimizerConfig
from .lr_multipliers import LrMultipliers, trainable
from .muon import Muon


def make_optimizer(config: OptimizerConfig, network: nn.Layer) -> Optimizer:
    """Return the optimizer of a recipe for all trainable parameters of a network.

    Weight decay acts on weights of two and more dimensions; biases and the scales and shifts of
    norms are left alone unless ``decay_norm_and_bias`` is set (He et al. 2018, arXiv:1812.01187,
    section 3.1, "no bias decay").

    Multipliers and penalties are stored at each parameter, as Paddle's groups do, and the optimizer
    gets a plain list: with groups, Paddle clips the norm of each group by itself, and
    ``paddle.Model`` refuses them.

    Raises:
        ConfigError: ``lr_multipliers`` or ``layer_decay`` do not fit the network.
    """
    parameters = trainable(network)
    multipliers = LrMultipliers(network, config.layer_decay, config.lr_multipliers)
    decayed = {p.name for p in parameters if p.ndim > 1 or config.decay_norm_and_bias}
    for parameter in parameters:
        parameter.optimize_attr["learning_rate"] = multipliers.of(parameter)
        # For optimizers that add the penalty to the gradient; the others apply it themselves.
        coupled = config.name in ("sgd", "momentum", "adam", "muon")
        decay = config.weight_decay if coupled and parameter.name in decayed else 0.0
        parameter.regularizer = L2Decay(decay) if decay else None
    return _MAKERS[config.name](config, parameters, decayed, _clip(config))


def _clip(config: OptimizerConfig) -> Optional[nn.ClipGradByGlobalNorm]:
    if config.clip_norm is not None:
        return nn.ClipGradByGlobalNorm(config.clip_norm)
    return nn.ClipGradByValue(config.clip_value) if config.clip_value is not None else None


Maker = Callable[[OptimizerConfig, "list[Tensor]", "set[str]", Optional[object]], Optimizer]


def _sgd(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return paddle.optimizer.SGD(config.lr, parameters, grad_clip=clip)


def _momentum(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return paddle.optimizer.Momentum(
        config.lr, config.momentum, parameters, use_nesterov=config.nesterov, grad_clip=clip
    )


def _adam(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return paddle.optimizer.Adam(
        config.lr, config.beta1, config.beta2, parameters=parameters, grad_clip=clip
    )


def _adamw(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return paddle.optimizer.AdamW(
        config.lr,
        config.beta1,
        config.beta2,
        parameters=parameters,
        weight_decay=config.weight_decay,
        apply_decay_param_fun=decayed.__contains__,
        grad_clip=clip,
    )


def _lamb(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return paddle.optimizer.Lamb(
        config.lr,
        config.weight_decay,
        config.beta1,
        config.beta2,
        parameters=parameters,
        exclude_from_weight_decay_fn=lambda parameter: parameter.name not in decayed,
        grad_clip=clip,
    )


def _muon(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return Muon(config.lr, config.momentum, parameters, config.nesterov, clip)


def _lars(config: OptimizerConfig, parameters: list, decayed: set, clip: object) -> Optimizer:
    return paddle.incubate.optimizer.LarsMomentumOptimizer(
        config.lr,
        config.momentum,
        lars_coeff=config.trust_coefficient,
        lars_weight_decay=config.weight_decay,
        parameter_list=parameters,
        exclude_from_weight_decay=[p.name for p in parameters if p.name not in decayed],
        grad_clip=clip,
    )


_MAKERS: dict[str, Maker] = {
    "sgd": _sgd,
    "momentum": _momentum,
    # Kingma & Ba 2014, arXiv:1412.6980
    "adam": _adam,
    # Loshchilov & Hutter 2017, arXiv:1711.05101
    "adamw": _adamw,
    # You et al. 2017, arXiv:1708.03888
    "lars": _lars,
    # Jordan et al. 2024, see muon.py
    "muon": _muon,
    # You et al. 2019, arXiv:1904.00962
    "lamb": _lamb,
}
