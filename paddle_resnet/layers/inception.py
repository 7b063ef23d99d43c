"""The Inception module: four branches on one activation."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from .conv_bn import ConvBNLayer
from .pooling import MaxPool2D
from .style import PLAIN, Style


class Inception(nn.Layer):
    """1x1, 3x3 and 5x5 convolutions and a max-pooling, their outputs concatenated.

    Szegedy et al. 2014 (arXiv:1409.4842), figure 2b, with BN as in torchvision. 1x1 convolutions
    reduce the channels first: at 28x28x192 -> 32, the 5x5 branch costs 12,443,648 multiplications
    through 16 channels and 120,422,400 without them.

    State-dict names are torchvision's: ``branch1``, ``branch2.0``, ..., each with ``conv``, ``bn``.

    Args:
        num_channels (int): of the input.
        ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj (int): channels, as in table 1 there.
        large_kernel (int): of the third branch: 5 as in the paper, or 3 as in torchvision's
            published weights. Default: 5.
        style (Style): activation, normalisation and layout.

    Shape:
        ``[N, num_channels, H, W]`` to ``[N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W]``.
    """

    def __init__(
        self,
        num_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        large_kernel: int = 5,
        style: Style = PLAIN,
    ) -> None:
        super().__init__()

        def conv(ins: int, outs: int, size: int) -> ConvBNLayer:
            return style.conv(ins, outs, size, act=style.act)

        pool = MaxPool2D(3, 1, 1, data_format=style.data_format)
        self.branch1 = conv(num_channels, ch1x1, 1)
        self.branch2 = nn.Sequential(conv(num_channels, ch3x3red, 1), conv(ch3x3red, ch3x3, 3))
        self.branch3 = nn.Sequential(
            conv(num_channels, ch5x5red, 1), conv(ch5x5red, ch5x5, large_kernel)
        )
        self.branch4 = nn.Sequential(pool, conv(num_channels, pool_proj, 1))
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj
        self.data_format = style.data_format

    def forward(self, x: Tensor) -> Tensor:
        """Return the four branches' outputs, one behind the other."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return paddle.concat([branch(x) for branch in branches], axis=self.data_format.index("C"))
