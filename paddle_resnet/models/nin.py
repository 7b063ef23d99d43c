"""Network in network: convolutions followed by 1x1 convolutions, and no large linear layer."""

from __future__ import annotations

from typing import Union

from paddle import nn

from ..layers.activation_functions import Activation
from ..layers.conv_bn import NormLayer
from ..layers.pooling import MaxPool2D
from ..layers.style import Style
from .network import Network

#: Of each stage: size of the first kernel, then the channels of that and of the 1x1 convolutions.
STAGES = ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192))


class NetworkInNetwork(Network):
    """The CIFAR network of Lin et al. 2013 (arXiv:1312.4400), figure 2, with BN.

    A 1x1 convolution is one linear layer applied at every position: on a 6x6x32 activation,
    the same layer 36 times. The paper averages the output of its last 1x1 convolution. Both are
    linear and commute: here the average comes first and ``fc`` is that layer.

    Args:
        num_classes (int): Default: 10.
        in_channels (int): channels of the images. Default: 3.
        act, norm_layer: as in :class:`ResNet`.
        dropout (float): behind the pooling layers. Default: 0.5.
        recompute, data_format: see :class:`Network`.

    Shape:
        ``[N, in_channels, H, W]`` float32 to ``[N, num_classes]`` logits.
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        in_channels: int = 3,
        act: Activation = "relu",
        norm_layer: NormLayer = nn.BatchNorm2D,
        dropout: float = 0.5,
        recompute: Union[bool, int] = False,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(num_classes, data_format, recompute)
        style = Style(act, norm_layer, data_format)
        channels = in_channels
        for index, (size, *widths) in enumerate(STAGES):
            if index:
                pool = MaxPool2D(3, 2, 1, data_format=data_format)
                self.add_stage(f"pool{index}", nn.Sequential(pool, nn.Dropout(dropout)))
            units = []
            for place, width in enumerate(widths):
                units.append(style.conv(channels, width, size if place == 0 else 1, act=act))
                channels = width
            self.add_stage(f"layer{index + 1}", nn.Sequential(*units), channels, 2**index)
        self.add_head(channels)
