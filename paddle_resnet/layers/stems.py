"""The first layers of a network: from pixels to the first stage.

A stem is made by a function of ``(in_channels, width, style)`` and returns
``(conv1, maxpool, stride)``: two layers, under names that the published weights use too, and the
stride of both together.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
from paddle import nn

from ..errors import ModelError
from .pooling import MaxPool2D
from .style import Style

Stem = Callable[[int, int, Style], "tuple[nn.Layer, nn.Layer, int]"]


def imagenet_stem(in_channels: int, width: int, style: Style) -> tuple[nn.Layer, nn.Layer, int]:
    """7x7 convolution with stride 2, then 3x3 max-pooling with stride 2: for images of 224 pixels.

    He et al. 2015 (arXiv:1512.03385), table 1.
    """
    return style.conv(in_channels, width, 7, stride=2, act=style.act), _pool(style), 4


def deep_stem(in_channels: int, width: int, style: Style) -> tuple[nn.Layer, nn.Layer, int]:
    """Three 3x3 convolutions in place of the 7x7, then the same pooling.

    He et al. 2018, "Bag of Tricks" (arXiv:1812.01187), figure 2b: ResNet-C, and ResNet-D too.
    """
    act, half = style.act, width // 2
    conv1 = nn.Sequential(  # the gaps are left for BN and ReLU, as in timm's names
        ("0", style.conv(in_channels, half, 3, stride=2, act=act, names=("0", "1"))),
        ("3", style.conv(half, half, 3, act=act, names=("3", "4"))),
        ("6", style.conv(half, width, 3, act=act, names=("6", "7"))),
    )
    return conv1, _pool(style), 4


def cifar_stem(in_channels: int, width: int, style: Style) -> tuple[nn.Layer, nn.Layer, int]:
    """3x3 convolution with stride 1 and no pooling: small images keep their resolution.

    He et al. 2015 (arXiv:1512.03385), section 4.2. With the ImageNet stem a 32-pixel image enters
    the first stage at 8x8; with this one at 32x32, at 16 times the cost.
    """
    return style.conv(in_channels, width, 3, act=style.act), nn.Identity(), 1


def keras_stem(in_channels: int, width: int, style: Style) -> tuple[nn.Layer, nn.Layer, int]:
    """3x3 convolution without padding, then 2x2 max-pooling with stride 1: 32 -> 30 -> 30.

    The small-image stem of the Keras lessons.
    """
    conv1 = style.conv(in_channels, width, 3, act=style.act, padding=0)
    return conv1, MaxPool2D(2, 1, padding="SAME", data_format=style.data_format), 1


def _pool(style: Style) -> nn.Layer:
    return MaxPool2D(kernel_size=3, stride=2, padding=1, data_format=style.data_format)


STEMS: dict[str, Stem] = {
    "imagenet": imagenet_stem,
    "cifar": cifar_stem,
    "deep": deep_stem,
    "keras": keras_stem,
}


def adapt_first_conv(weight: np.ndarray, in_channels: int) -> np.ndarray:
    """Fit the weights of a first convolution to images with another number of channels.

    Grey images get the sum over the colours: a grey image then gives the very activations that
    it gave as three equal colours. Otherwise the channels are repeated in turn and scaled so that
    the sum over them, hence the activations' size, stays (the rule of timm).

    Args:
        weight: ``[out, channels, k, k]``, an array or what numpy can read.
        in_channels (int): channels of the new images.

    Returns:
        numpy array ``[out, in_channels, k, k]`` of the same dtype.

    Raises:
        ModelError: not the weight of a 2-D convolution, or no channels.
    """
    weight = np.asarray(weight)
    if weight.ndim != 4 or in_channels < 1:
        raise ModelError(
            "adapt_first_conv needs a weight of 4 dimensions and at least one channel, "
            f"got shape {list(weight.shape)} and {in_channels} channels."
        )
    channels = weight.shape[1]
    if in_channels == 1:
        return weight.sum(axis=1, keepdims=True)
    repeated = weight[:, np.arange(in_channels) % channels]
    return (repeated * (channels / in_channels)).astype(weight.dtype)
