"""The residual blocks: a residual function, and the sum with what it is a residual of."""

from __future__ import annotations

from typing import Callable, Optional, Union

from paddle import Tensor, nn

from .conv_bn import ConvBNLayer
from .shortcuts import Shortcut, resolve_shortcut


class BasicBlock(nn.Layer):
    """Two 3x3 convolutions and the shortcut (He et al. 2015, arXiv:1512.03385, figure 5 left).

    Args:
        num_channels (int): channels of the input.
        num_filters (int): channels of both convolutions, and of the output.
        stride (int): of the first convolution. Default: 1.
        shortcut: see :func:`~paddle_resnet.layers.shortcuts.resolve_shortcut`. Default: True, the
            identity, or a 1x1 projection where the shape changes.
        act (str): activation. Default: ``relu``.
        norm_layer (callable): makes a normalisation from a channel count.

    Shape:
        ``[N, num_channels, H, W]`` to ``[N, num_filters, ceil(H / stride), ceil(W / stride)]``.
    """

    expansion = 1
    #: Convolutions on the main path, shortcut not counted.
    depth = 2

    def __init__(
        self,
        num_channels: int,
        num_filters: int,
        stride: int = 1,
        shortcut: Union[str, bool, Shortcut] = True,
        *,
        act: str = "relu",
        norm_layer: Callable[[int], nn.Layer] = nn.BatchNorm2D,
    ) -> None:
        super().__init__()
        self.conv1 = ConvBNLayer(
            num_channels, num_filters, 3, stride=stride, act=act, norm_layer=norm_layer
        )
        self.conv2 = ConvBNLayer(num_filters, num_filters, 3, act=act, norm_layer=norm_layer)
        self.downsample: Optional[nn.Layer] = resolve_shortcut(shortcut)(
            num_channels, num_filters, stride, norm_layer
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``act(F(x) + shortcut(x))``."""
        residual = x if self.downsample is None else self.downsample(x)
        return self.conv2(self.conv1(x), residual)


class BottleneckBlock(nn.Layer):
    """1x1 reduce, 3x3, 1x1 expand to four times the width (figure 5 right of the same paper).

    The stride sits in the 3x3 convolution ("v1.5"), as in torchvision and ``paddle.vision``; the
    paper's own 1x1 ("v1") skips three quarters of the input wherever it strides.

    256 -> 64 -> 64 -> 256 channels cost 69,632 weights; two 3x3 convolutions at 256 cost 1,179,648.

    Args:
        num_channels (int): channels of the input.
        num_filters (int): channels of the 3x3 convolution; the output has four times as many.
        stride (int): of the 3x3 convolution. Default: 1.
        shortcut: see :func:`~paddle_resnet.layers.shortcuts.resolve_shortcut`. Default: True, the
            identity, or a 1x1 projection where the shape changes.
        act (str): activation. Default: ``relu``.
        norm_layer (callable): makes a normalisation from a channel count.

    Shape:
        ``[N, num_channels, H, W]`` to ``[N, 4 * num_filters, ceil(H / stride), ceil(W / stride)]``.
    """

    expansion = 4
    #: Convolutions on the main path, shortcut not counted.
    depth = 3

    def __init__(
        self,
        num_channels: int,
        num_filters: int,
        stride: int = 1,
        shortcut: Union[str, bool, Shortcut] = True,
        *,
        act: str = "relu",
        norm_layer: Callable[[int], nn.Layer] = nn.BatchNorm2D,
    ) -> None:
        super().__init__()
        out_channels = num_filters * self.expansion
        self.conv1 = ConvBNLayer(num_channels, num_filters, 1, act=act, norm_layer=norm_layer)
        self.conv2 = ConvBNLayer(
            num_filters, num_filters, 3, stride=stride, act=act, norm_layer=norm_layer
        )
        self.conv3 = ConvBNLayer(num_filters, out_channels, 1, act=act, norm_layer=norm_layer)
        self.downsample: Optional[nn.Layer] = resolve_shortcut(shortcut)(
            num_channels, out_channels, stride, norm_layer
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``act(F(x) + shortcut(x))``."""
        residual = x if self.downsample is None else self.downsample(x)
        return self.conv3(self.conv2(self.conv1(x)), residual)
