"""The one class behind every residual network of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Union

import paddle
from paddle import Tensor, nn

from ..errors import ModelError
from ..layers.blocks import BasicBlock, BottleneckBlock
from ..layers.shortcuts import Shortcut
from ..layers.stems import Stem, resolve_stem

#: Blocks per stage of the networks of He et al. 2015 (arXiv:1512.03385), table 1.
DEPTHS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (BottleneckBlock, (3, 4, 6, 3)),
    101: (BottleneckBlock, (3, 4, 23, 3)),
    152: (BottleneckBlock, (3, 8, 36, 3)),
}


class ResNet(nn.Layer):
    """A residual network: stem, stages of blocks, global average pooling, one linear layer.

    ``ResNet(50)`` has 1 + 3 * (3 + 4 + 6 + 3) = 49 convolutions on its main path, 4 projections
    beside it and one linear layer: the "50" counts 49 + 1.

    State-dict keys are those of torchvision and ``paddle.vision.models``, so that weights move
    between them as they are.

    Args:
        layers (int | sequence of int): 18, 34, 50, 101 or 152; or the number of blocks per stage.
        block (type, optional): the block class. Default: the one that belongs to ``layers``
            (basic for 18 and 34, bottleneck from 50 on and for explicit stages).
        num_classes (int): outputs of the linear layer; 0 leaves it out and gives the pooled
            features. Default: 1000.
        in_channels (int): channels of the images. Default: 3.
        widths (sequence of int, optional): ``num_filters`` of the blocks, stage by stage.
            Default: 64, doubling.
        stem (str | callable): ``imagenet`` (7x7/2 and pooling) or ``cifar`` (3x3/1), or a maker,
            see :mod:`paddle_resnet.layers.stems`. Default: ``imagenet``.
        shortcut (str | callable): see :mod:`paddle_resnet.layers.shortcuts`. Default: ``B``.
        act (str): activation. Default: ``relu``.
        norm_layer (callable): makes a normalisation from a channel count.
            Default: ``paddle.nn.BatchNorm2D``.

    Shape:
        ``[N, in_channels, H, W]`` float32 to ``[N, num_classes]`` logits.

    Raises:
        ModelError: a depth that does not exist, or sizes that make no network.
    """

    def __init__(
        self,
        layers: Union[int, Sequence[int]] = 50,
        block: Union[type, None] = None,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        widths: Union[Sequence[int], None] = None,
        stem: Union[str, Stem] = "imagenet",
        shortcut: Union[str, bool, Shortcut] = "B",
        act: str = "relu",
        norm_layer: Callable[[int], nn.Layer] = nn.BatchNorm2D,
    ) -> None:
        super().__init__()
        block, depths = _resolve_layers(layers, block)
        widths = tuple(widths) if widths else tuple(64 * 2**i for i in range(len(depths)))
        if len(widths) != len(depths):
            raise ModelError(f"{len(depths)} stages need as many widths, got {list(widths)}.")
        if not isinstance(num_classes, int) or num_classes < 0:
            raise ModelError(f"num_classes must be a whole number from 0 up, got {num_classes!r}.")

        self.num_classes = num_classes
        self.num_features = widths[-1] * block.expansion
        self.conv1, self.maxpool = resolve_stem(stem)(in_channels, widths[0], act, norm_layer)
        channels = widths[0]
        self._stages = []
        for index, (count, width) in enumerate(zip(depths, widths), start=1):
            blocks = []
            for i in range(count):
                stride = 2 if i == 0 and index > 1 else 1
                blocks.append(
                    block(channels, width, stride, shortcut, act=act, norm_layer=norm_layer)
                )
                channels = width * block.expansion
            self._stages.append(f"layer{index}")
            self.add_sublayer(f"layer{index}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last stage's map, ``[N, num_features, H', W']``."""
        x = self.maxpool(self.conv1(x))
        for name in self._stages:
            x = getattr(self, name)(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:
        """Pool a map of :meth:`forward_features` and classify it: ``[N, num_classes]``."""
        return self.fc(paddle.flatten(self.avgpool(x), 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        return self.forward_head(self.forward_features(x))


def _resolve_layers(
    layers: Union[int, Sequence[int]], block: Union[type, None]
) -> tuple[type, tuple[int, ...]]:
    if isinstance(layers, int):
        if layers not in DEPTHS:
            raise ModelError(
                f"no ResNet has {layers} layers, expected one of {', '.join(map(str, DEPTHS))} "
                "or the number of blocks per stage, such as (3, 4, 6, 3)."
            )
        own_block, depths = DEPTHS[layers]
        return block or own_block, depths
    depths = tuple(layers)
    if not depths or not all(isinstance(n, int) and n > 0 for n in depths):
        raise ModelError(f"layers needs at least one block in every stage, got {list(depths)}.")
    return block or BottleneckBlock, depths
