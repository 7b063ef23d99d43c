"""A residual network for CIFAR-10 in minutes: nothing in it waits for the first epochs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Union

import numpy as np
import paddle
from paddle import Tensor, nn

from ..kernels.activations import branch
from ..layers.activation_functions import Activation
from ..layers.conv_bn import ConvBNLayer, NormLayer
from ..layers.pooling import GlobalMaxPool
from ..layers.style import PLAIN, Style
from .network import Network

#: Statistics of the last few batches, since weights move fast.
FAST_NORM = partial(nn.BatchNorm2D, momentum=0.8)


class PooledBlock(nn.Layer):
    """A 3x3 convolution with 2x2 max-pooling, then a residual unit: ``act(bn(conv(x)) + x)``.

    Both convolutions begin as the identity on the channels that they are given (the other channels
    of the first at random): signals and gradients pass from the first step on.

    Args:
        num_channels, num_filters (int): channels of the input and of the output.
        style (Style): activation, normalisation and layout.

    Shape:
        ``[N, num_channels, H, W]`` to ``[N, num_filters, H // 2, W // 2]``.
    """

    def __init__(self, num_channels: int, num_filters: int, style: Style = PLAIN) -> None:
        super().__init__()
        self.conv1 = style.conv(num_channels, num_filters, 3, act=style.act, max_pool=True)
        self.conv2 = style.conv(num_filters, num_filters, 3, act=style.act)
        for unit in (self.conv1, self.conv2):
            begin_as_identity(unit)

    def forward(self, x: Tensor) -> Tensor:
        """Return an activation of half the height and width."""
        x, beside = branch(self.conv1(x))
        return self.conv2(x, beside)

    @property
    def supports_bfloat16(self) -> bool:
        """Whether the CPU operator knows all of the block, for bfloat16 activations."""
        return all(part.supports_bfloat16 for part in (self.conv1, self.conv2))


class SpeedrunResNet(Network):
    """Whitened patches, three or more :class:`PooledBlock`, global max-pooling, a linear layer.

    The ingredients are those of the public CIFAR-10 speed records (Page 2018, "How to train your
    ResNet"; Jordan 2024, arXiv:2404.00498), in a network of which each block has a shortcut, and
    with 3x3 windows and even heights and widths throughout.

    Args:
        num_classes (int): Default: 10.
        in_channels (int): channels of the images. Default: 3.
        stem_width (int): channels of the first layer, see :meth:`whiten`. Default: 32.
        widths (sequence of int): channels of the blocks. Default: (64, 256, 256).
        act, norm_layer: as in :class:`ResNet`. Default: ``relu`` and :data:`FAST_NORM`.
        recompute, data_format: see :class:`Network`.

    Shape:
        ``[N, in_channels, H, W]`` float32 to ``[N, num_classes]`` logits.
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        in_channels: int = 3,
        stem_width: int = 32,
        widths: Sequence[int] = (64, 256, 256),
        act: Activation = "relu",
        norm_layer: NormLayer = FAST_NORM,
        recompute: Union[bool, int] = False,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(num_classes, data_format, recompute)
        style = Style(act, norm_layer, data_format)
        conv1 = style.conv(in_channels, stem_width, 3, act=act)
        # Nothing in front of the first block learns: no gradient goes there, which is a twelfth of
        # the work.
        self.add_stage("conv1", conv1, stem_width, 1)
        for parameter in self.never_trained():
            parameter.trainable = False
        channels = stem_width
        for index, width in enumerate(widths):
            block = PooledBlock(channels, width, style)
            self.add_stage(f"layer{index + 1}", block, width, 2 ** (index + 1))
            channels = width
        self.add_stage("maxpool", GlobalMaxPool(data_format))
        self.add_head(channels)

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new linear layer in place that begins with answers near 0; 0 for none.

        What reaches the shifts of norms in the first steps, at a high rate, is then small too.
        """
        super().reset_classifier(num_classes)
        if num_classes:
            bound = self.num_features**-1.5
            nn.initializer.Uniform(-bound, bound)(self.fc.weight)

    def never_trained(self) -> list[Tensor]:
        """Return the parameters of the first layer, see :meth:`whiten`."""
        return self.conv1.parameters()

    def whiten(self, images: np.ndarray) -> None:
        """Let the first layer see patches of these images in uncorrelated components.

        Its filters become the strongest principal components of 3x3 patches, each with both signs,
        since ReLU keeps only one; its BN gives all of them the same size. They stay as they are.
        Where there are more filters than components, the others stay random.

        Args:
            images: float32 ``[N, in_channels, H, W]``, as the network is trained on.
        """
        conv: nn.Conv2D = self.conv1.conv
        patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
        patches = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * 9)
        patches = patches - patches.mean(axis=0, keepdims=True)
        _, components = np.linalg.eigh(patches.T.astype(np.float64) @ patches / len(patches))
        strongest = components.T[::-1][: conv.weight.shape[0] // 2]
        filters = conv.weight.numpy().reshape(conv.weight.shape[0], -1)
        filters[: 2 * len(strongest)] = np.concatenate([strongest, -strongest])
        conv.weight.set_value(filters.reshape(conv.weight.shape))


def begin_as_identity(unit: ConvBNLayer) -> None:
    """Let the first outputs of a convolution be its inputs (Jordan 2024, section 3.2)."""
    weight = unit.conv.weight
    outputs, inputs, height, width = weight.shape
    bound = 1 / np.sqrt(inputs * height * width)
    start = paddle.uniform(weight.shape, min=-bound, max=bound).numpy()
    same = np.arange(min(inputs, outputs))
    start[same] = 0
    start[same, same, height // 2, width // 2] = 1
    nn.initializer.Assign(start)(weight)  # under LazyGuard, when it is initialised
