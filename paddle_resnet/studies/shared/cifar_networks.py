"""The networks of He et al. 2015, section 4.2, plain and residual, at any width."""

from __future__ import annotations

from typing import Any

import paddle
from paddle import nn

from ...errors import UserError
from ...models import ResNet


def cifar_network(
    depth: int, residual: bool = True, width: int = 16, *, seed: int, **options: Any
) -> ResNet:
    """Build an untrained network: three stages of basic blocks, CIFAR stem, shortcut A.

    Shortcut A has no parameters, so that a plain and a residual network of one seed start from
    identical weights: comparisons between them are paired.

    Args:
        depth: 6n + 2, such as 20, 56, 110.
        residual: with shortcuts. Default: True.
        width: channels of the first stage; the others have twice and four times as many.
        seed: of the weights.
        **options: of :class:`~paddle_resnet.models.ResNet`; they win.

    Raises:
        UserError: a depth that is not 6n + 2.
    """
    if depth < 8 or (depth - 2) % 6:
        near = max(8, round((depth - 2) / 6) * 6 + 2)
        raise UserError(f"a CIFAR network has 6n + 2 layers, not {depth}; nearest is {near}.")
    given = {
        "layers": ((depth - 2) // 6,) * 3,
        "block": "basic",
        "widths": (width, 2 * width, 4 * width),
        "stem": "cifar",
        "shortcut": "A",
        "num_classes": 10,
        "residual": residual,
    }
    paddle.seed(seed)
    return ResNet(**{**given, **options})


def scale_convolutions(network: nn.Layer, factor: float) -> None:
    """Multiply the weights of all convolutions by ``factor``."""
    if factor != 1:
        for layer in network.sublayers():
            if isinstance(layer, nn.Conv2D):
                layer.weight.set_value(layer.weight * factor)
