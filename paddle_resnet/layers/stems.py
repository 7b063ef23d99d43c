"""The first layers of a network: from pixels to the first stage.

A stem is made by a function of ``(in_channels, width, act, norm_layer)`` and returns the pair
``(conv1, maxpool)``: two names that the published weights use too.
"""

from __future__ import annotations

from typing import Callable, Union

from paddle import nn

from ..errors import ModelError, nearest
from .conv_bn import ConvBNLayer

Stem = Callable[[int, int, str, Callable[[int], nn.Layer]], "tuple[nn.Layer, nn.Layer]"]


def imagenet_stem(
    in_channels: int, width: int, act: str, norm_layer: Callable[[int], nn.Layer]
) -> tuple[nn.Layer, nn.Layer]:
    """7x7 convolution with stride 2, then 3x3 max-pooling with stride 2: for images of 224 pixels.

    He et al. 2015 (arXiv:1512.03385), table 1.
    """
    conv1 = ConvBNLayer(in_channels, width, 7, stride=2, act=act, norm_layer=norm_layer)
    return conv1, nn.MaxPool2D(kernel_size=3, stride=2, padding=1)


def cifar_stem(
    in_channels: int, width: int, act: str, norm_layer: Callable[[int], nn.Layer]
) -> tuple[nn.Layer, nn.Layer]:
    """3x3 convolution with stride 1 and no pooling: small images keep their resolution.

    He et al. 2015 (arXiv:1512.03385), section 4.2. With the ImageNet stem a 32-pixel image enters
    the first stage at 8x8; with this one at 32x32, at 16 times the cost.
    """
    conv1 = ConvBNLayer(in_channels, width, 3, act=act, norm_layer=norm_layer)
    return conv1, nn.Identity()


STEMS: dict[str, Stem] = {"imagenet": imagenet_stem, "cifar": cifar_stem}


def resolve_stem(stem: Union[str, Stem]) -> Stem:
    """Return the maker that ``stem`` names, or ``stem`` itself where it is one.

    Raises:
        ModelError: the name is unknown.
    """
    if callable(stem):
        return stem
    if stem not in STEMS:
        raise ModelError(
            f"unknown stem {stem!r}, expected one of {', '.join(STEMS)}."
            + nearest(str(stem), STEMS)
        )
    return STEMS[stem]
