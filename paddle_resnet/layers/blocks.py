"""The residual blocks: a residual function, and the sum with what it is a residual of."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Union

from paddle import Tensor, nn

from ..errors import ModelError, for_display
from ..kernels.activations import branch
from .activation_dtype import for_block, for_shortcut, like
from .activation_functions import AddAct
from .shortcuts import Shortcut, resolve_shortcut
from .squeeze_excitation import SqueezeExcitation
from .stochastic_depth import StochasticDepth
from .style import PLAIN, Style


class ResidualBlock(nn.Layer):
    """``act(F(x) + shortcut(x))``, with a chain of :class:`ConvBNLayer` as the function F.

    The classes below say which convolutions F has. F(x) and the sum are computed by the units
    alone wherever nothing stands between the last BN and the sum.

    Args:
        num_channels (int): channels of the input.
        num_filters (int): base width of the block; the output has ``expansion`` times as many.
        stride (int): of the block. Default: 1.
        shortcut: see :mod:`paddle_resnet.layers.shortcuts`. Default: True, the identity, or a 1x1
            projection where the shape changes.
        style (Style): activation, normalisation and layout.
        groups, width_per_group (int): of the 3x3 convolutions, whose width becomes
            ``int(num_filters * width_per_group / 64) * groups`` (Xie et al. 2016, arXiv:1611.05431,
            and Zagoruyko and Komodakis 2016, arXiv:1605.07146). In a basic block that is the width
            between its two convolutions, and both are grouped. Default: 1 and 64.
        dilation (int): of the 3x3 convolutions behind the one with the stride. Default: 1.
        first_dilation (int, optional): of those up to it; smaller than ``dilation`` in the block
            whose stride was given up. Default: ``dilation``.
        stride_place (str): ``v1.5``, in the first 3x3 convolution as in torchvision and
            ``paddle.vision`` (Goyal et al. 2017, arXiv:1706.02677, section 5.1); or ``v1``, in the
            first convolution as in the paper, which in a bottleneck is 1x1 and skips three quarters
            of the input. Default: ``v1.5``.
        se_reduction (int): of a :class:`SqueezeExcitation` gate on F(x); 0 for none. Default: 0.
        drop_rate (float): of :class:`StochasticDepth`. Default: 0.
        early_relu (bool): ``act(F(x)) + shortcut(x)``: "ReLU before addition" of He et al. 2016
            (arXiv:1603.05027), figure 4c. F can then only add and signals only grow; it is here
            to be shown against the right order. Default: False.
        residual (bool): False leaves the sum and the shortcut out: a plain block (He et al. 2015,
            arXiv:1512.03385, figure 3 middle). Default: True.

    Shape:
        ``[N, num_channels, H, W]`` to
        ``[N, expansion * num_filters, ceil(H / stride), ceil(W / stride)]``, or both in NHWC.

    Raises:
        ModelError: options that do not go together.
    """

    expansion = 1
    #: Sizes of the convolutions on the main path.
    kernels: tuple[int, ...] = (3, 3)
    pre_activation = False
    #: Says to :mod:`paddle_resnet.layers.activation_dtype` that the block chooses its
    #: input's numbers.
    sees_to_input = True

    def __init__(
        self,
        num_channels: int,
        num_filters: int,
        stride: int = 1,
        shortcut: Union[str, bool, Shortcut] = True,
        *,
        style: Style = PLAIN,
        groups: int = 1,
        width_per_group: int = 64,
        dilation: int = 1,
        first_dilation: Optional[int] = None,
        stride_place: str = "v1.5",
        se_reduction: int = 0,
        drop_rate: float = 0.0,
        early_relu: bool = False,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if stride_place not in ("v1", "v1.5"):
            raise ModelError(
                f"stride_place must be v1 or v1.5, got {for_display(repr(stride_place))}."
            )
        if early_relu and (self.pre_activation or not residual):
            raise ModelError("early_relu is about the sum at the end of a post-activation block.")
        if drop_rate and not residual:
            raise ModelError("stochastic depth drops what is added to a shortcut: residual=False.")
        if groups < 1:
            raise ModelError(f"groups must be at least 1, got {groups}.")
        width = int(num_filters * width_per_group / 64) * groups
        if width < 1:
            raise ModelError(f"width_per_group={width_per_group} leaves the block no channels.")
        out_channels = num_filters * self.expansion
        channels = [num_channels] + [width] * (len(self.kernels) - 1) + [out_channels]
        strided = self.kernels.index(3) if stride_place == "v1.5" else 0
        dilations = first_dilation or dilation, dilation  # up to the stride, and behind it
        bare = replace(style, norm_layer=None)
        pre = self.pre_activation
        # What stands between the last BN and the sum, if anything, needs a sum of its own.
        apart = bool(se_reduction or drop_rate or early_relu)

        if pre:
            self.bn1, self.act1 = style.norm(num_channels), AddAct(style.act)
        self._units = [f"conv{i + 1}" for i in range(len(self.kernels))]
        for i, size in enumerate(self.kernels):
            last = i + 1 == len(self.kernels)
            # In a pre-activation block a unit holds the norm and the activation that belong to
            # the next convolution, and the last one has neither.
            unit = (bare if pre and last else style).conv(
                channels[i],
                channels[i + 1],
                size,
                stride=stride if i == strided else 1,
                groups=groups if size > 1 else 1,
                act=None if last and (pre or (apart and not early_relu)) else style.act,
                dilation=1 if size == 1 else dilations[i > strided],
                names=(f"conv{i + 1}", f"bn{i + 2}") if pre else None,
            )
            self.add_sublayer(self._units[i], unit)
        self.residual = residual
        self.downsample = (
            resolve_shortcut(shortcut)(num_channels, out_channels, stride, bare if pre else style)
            if residual
            else None
        )
        self.se = SqueezeExcitation(out_channels, se_reduction, style) if se_reduction else None
        self.drop = StochasticDepth(drop_rate) if drop_rate else None
        self.sum = AddAct(None if pre or early_relu else style.act) if apart else None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``act(F(x) + shortcut(x))``, or what the options make of it."""
        x = for_block(self, x)
        y = beside = x
        if self.pre_activation:
            y = self.act1(self.bn1(x))
            beside = x if self.downsample is None else y
        elif self.residual:
            y, beside = branch(x)
        residual = None
        if self.residual:
            residual = beside
            if self.downsample is not None:
                residual = like(y, self.downsample(for_shortcut(self.downsample, beside)))
        *inner, last = (getattr(self, name) for name in self._units)
        for unit in inner:
            y = unit(y)
        if self.sum is None:
            return last(y, residual)
        y = last(y)
        for layer in (self.se, self.drop):
            y = y if layer is None else layer(y)
        return self.sum(y, residual)

    @property
    def supports_bfloat16(self) -> bool:
        """Whether the CPU operator computes the whole main path, for bfloat16 activations."""
        units = (getattr(self, name) for name in self._units)
        alone = self.sum is None and not self.pre_activation
        return alone and all(unit.supports_bfloat16 for unit in units)

    def zero_init(self) -> None:
        """Make F start at zero, so that the block starts as its shortcut alone.

        Goyal et al. 2017 (arXiv:1706.02677), section 5.1: gamma of the last BN. Without a BN behind
        the last convolution (pre-activation), its weights.
        """
        last = getattr(self, self._units[-1])
        weight = last.conv.weight if last.bn is None else getattr(last.bn, "weight", None)
        if weight is None:
            raise ModelError("zero_init_residual needs a normalisation with a weight.")
        nn.initializer.Constant(0.0)(weight)  # under LazyGuard, when it is initialised


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (He et al. 2015, arXiv:1512.03385, figure 5 left)."""


class BottleneckBlock(ResidualBlock):
    """1x1 reduce, 3x3, 1x1 expand to four times the width (figure 5 right of the same paper).

    256 -> 64 -> 64 -> 256 channels cost 69,632 weights; two 3x3 convolutions at 256 cost 1,179,648.
    """

    expansion = 4
    kernels = (1, 3, 1)


class PreActBasicBlock(BasicBlock):
    """``F(act(bn(x))) + x``: BN and ReLU come before each convolution and nothing after the sum.

    He et al. 2016 (arXiv:1603.05027), figure 4e, "full pre-activation": signals pass from any block
    to any other unchanged. A projection looks at ``act(bn(x))`` and has no BN of its own.
    """

    pre_activation = True


class PreActBottleneckBlock(BottleneckBlock):
    """The bottleneck with full pre-activation; see :class:`PreActBasicBlock`."""

    pre_activation = True


BLOCKS: dict[str, type] = {
    "basic": BasicBlock,
    "bottleneck": BottleneckBlock,
    "preact_basic": PreActBasicBlock,
    "preact_bottleneck": PreActBottleneckBlock,
}
