"""The one class behind every residual network of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

from paddle import nn

from ..errors import ModelError, for_display
from ..layers.activation_functions import Activation, AddAct
from ..layers.blocks import BLOCKS
from ..layers.conv_bn import ConvBNLayer, NormLayer
from ..layers.lookup import lookup
from ..layers.shortcuts import Shortcut
from ..layers.stems import STEMS, Stem
from ..layers.style import Style
from .network import Network

#: Blocks per stage of the networks of He et al. 2015 (arXiv:1512.03385), table 1.
DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class ResNet(Network):
    """A residual network: stem, stages of blocks, global average pooling, one linear layer.

    ``ResNet(50)`` has 1 + 3 * (3 + 4 + 6 + 3) = 49 convolutions on its main path, 4 projections
    beside it and one linear layer: the "50" counts 49 + 1.

    State-dict keys are those of torchvision and ``paddle.vision.models``, so that weights move
    between them as they are.

    Args:
        layers (int | sequence of int): 18, 34, 50, 101 or 152; or the number of blocks per stage.
        block (str | type, optional): ``basic``, ``bottleneck``, ``preact_basic``,
            ``preact_bottleneck`` or a class. Default: the one that belongs to ``layers`` (basic for
            18 and 34, bottleneck from 50 on and for explicit stages).
        num_classes (int): outputs of the linear layer; 0 leaves it out and gives the pooled
            features. Default: 1000.
        in_channels (int): channels of the images. Default: 3.
        widths (sequence of int, optional): ``num_filters`` of the blocks, stage by stage.
            Default: 64, doubling.
        stem (str | callable): ``imagenet`` (7x7/2 and pooling), ``cifar`` (3x3/1), ``deep`` (three
            3x3 and pooling), ``keras`` or a maker, see :mod:`paddle_resnet.layers.stems`.
            Default: ``imagenet``.
        shortcut (str | callable): ``A``, ``B``, ``C``, ``D``, ``biased``, ``keras`` or a maker, see
            :mod:`paddle_resnet.layers.shortcuts`. Default: ``B``.
        act: activation, see :class:`ConvBNLayer`. Default: ``relu``.
        norm_layer (callable): makes a normalisation from a channel count.
            Default: ``paddle.nn.BatchNorm2D``.
        conv_bias (bool): convolutions with bias. Default: False.
        padding (str, optional): ``same`` for TensorFlow's asymmetric zeros. Default: symmetric.
        replace_stride_with_dilation (sequence of bool, optional): for every stage but the first,
            whether its stride becomes dilation, as in torchvision. Default: None, none of them.
        output_stride (int, optional): how many pixels of the image one position of the last
            activation may stand for; 8, 16 or 32 with the ImageNet stem. Stages beyond it are
            dilated (Chen et al. 2017, arXiv:1706.05587, section 3.1).
        groups, width_per_group, stride_place, se_reduction, early_relu, residual: see
            :class:`~paddle_resnet.layers.blocks.ResidualBlock`.
        stochastic_depth (float): the probability of dropping the last block; it grows linearly from
            the first on (Huang et al. 2016, arXiv:1603.09382, equation (4)). Default: 0.
        dropout (float): in front of the linear layer. Default: 0.
        zero_init_residual (bool): let each block start as its shortcut (Goyal et al. 2017,
            arXiv:1706.02677, section 5.1). Default: False.
        recompute (bool | int), data_format (str): see :class:`Network`.

    Shape:
        ``[N, in_channels, H, W]`` (or ``[N, H, W, in_channels]`` with NHWC) float32 to
        ``[N, num_classes]`` logits.

    Raises:
        ModelError: a depth that does not exist, or options that make no network.
    """

    def __init__(
        self,
        layers: Union[int, Sequence[int]] = 50,
        block: Union[str, type, None] = None,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        widths: Optional[Sequence[int]] = None,
        stem: Union[str, Stem] = "imagenet",
        shortcut: Union[str, bool, Shortcut] = "B",
        act: Activation = "relu",
        norm_layer: NormLayer = nn.BatchNorm2D,
        conv_bias: bool = False,
        padding: Optional[str] = None,
        groups: int = 1,
        width_per_group: int = 64,
        stride_place: str = "v1.5",
        replace_stride_with_dilation: Optional[Sequence[bool]] = None,
        output_stride: Optional[int] = None,
        se_reduction: int = 0,
        stochastic_depth: float = 0.0,
        dropout: float = 0.0,
        early_relu: bool = False,
        residual: bool = True,
        zero_init_residual: bool = False,
        recompute: Union[bool, int] = False,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(num_classes, data_format, recompute)
        default_block, depths = _resolve_layers(layers)
        block = lookup("block", block or default_block, BLOCKS)
        widths = [64 * 2**i for i in range(len(depths))] if widths is None else widths
        if not _is_counts(widths) or len(widths) != len(depths):
            raise ModelError(
                f"{len(depths)} stages need as many widths, got {for_display(repr(widths))}."
            )
        style = Style(act, norm_layer, data_format, conv_bias, padding)

        conv1, maxpool, stride = lookup("stem", stem, STEMS)(in_channels, widths[0], style)
        pre = block.pre_activation
        if pre:  # the first block begins with BN and activation: the stem does not end with them
            *_, last = (p for p in conv1.sublayers(include_self=True) if isinstance(p, ConvBNLayer))
            last.bn = last.act = None
        self.add_stage("conv1", conv1)
        self.add_stage("maxpool", maxpool)
        dilated = _resolve_dilation(replace_stride_with_dilation, output_stride, stride, depths)
        channels, dilation, built = widths[0], 1, 0
        for stage, (count, width) in enumerate(zip(depths, widths)):
            blocks, first_dilation, first_stride = [], dilation, 2 if stage else 1
            if dilated[stage]:
                first_stride, dilation = 1, dilation * 2
            for i in range(count):
                built += 1
                blocks.append(
                    block(
                        channels,
                        width,
                        first_stride if i == 0 else 1,
                        shortcut,
                        style=style,
                        groups=groups,
                        width_per_group=width_per_group,
                        dilation=dilation,
                        first_dilation=first_dilation if i == 0 else dilation,
                        stride_place=stride_place,
                        se_reduction=se_reduction,
                        # The paper's l / L counts from 1: the last block, even if it is the only
                        # one, has the full rate.
                        drop_rate=stochastic_depth * built / sum(depths),
                        early_relu=early_relu,
                        residual=residual,
                    )
                )
                channels = width * block.expansion
            stride *= first_stride
            self.add_stage(f"layer{stage + 1}", nn.Sequential(*blocks), channels, stride)
        if pre:
            self.add_stage("bn", style.norm(channels))
            self.add_stage("act", AddAct(act))
        self.add_head(channels, dropout)
        if zero_init_residual:
            if not residual:
                raise ModelError("zero_init_residual would leave a plain network no signal at all.")
            for layer in self.sublayers():
                if isinstance(layer, block):
                    layer.zero_init()


def _resolve_layers(layers: Union[int, Sequence[int]]) -> tuple[str, tuple[int, ...]]:
    if isinstance(layers, int) and layers in DEPTHS:
        return DEPTHS[layers]
    if not _is_counts(layers):
        raise ModelError(
            f"no ResNet has {for_display(repr(layers))} layers, expected one of "
            f"{', '.join(map(str, DEPTHS))} or the number of blocks in every stage, at least one "
            "in each, such as (3, 4, 6, 3)."
        )
    return "bottleneck", tuple(layers)


def _is_counts(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(n, int) and n > 0 for n in value)
    )


def _resolve_dilation(
    replace: Optional[Sequence[bool]], output_stride: Optional[int], stem_stride: int, depths: tuple
) -> list[bool]:
    """Return for each stage whether its stride becomes dilation."""
    later = len(depths) - 1
    if replace is not None:
        flags = list(replace) if isinstance(replace, Sequence) else []
        if output_stride is not None or len(flags) != later or set(map(type, flags)) - {bool}:
            raise ModelError(
                f"replace_stride_with_dilation must be None or {later} booleans, without "
                f"output_stride; got {for_display(repr(replace))} and output_stride="
                f"{output_stride}."
            )
        return [False, *flags]
    strides = [stem_stride * 2**i for i in range(later + 1)]
    if output_stride is None:
        return [False] * len(depths)
    if output_stride not in strides:
        raise ModelError(
            f"output_stride must be one of {', '.join(map(str, strides))} with this stem, "
            f"got {output_stride}."
        )
    return [stride > output_stride for stride in strides]
