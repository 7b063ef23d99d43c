"""What carries the input past a residual block (He et al. 2015, arXiv:1512.03385, section 4.1).

A shortcut is made by a function of ``(in_channels, out_channels, stride, style)``, which returns a
layer, or None where the input itself is added.
"""

from __future__ import annotations

from typing import Callable, Optional, Union

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ..errors import ModelError
from ..kernels.zero_pad import zero_pad
from .lookup import lookup
from .style import Style

Shortcut = Callable[[int, int, int, Style], Optional[nn.Layer]]


class ZeroPad(nn.Layer):
    """Every ``stride``-th pixel, with channels of zeros on both sides: no parameter at all.

    The paper does not say on which side the zeros go. Both, in equal parts, is what the most used
    CIFAR implementation does, so that weights trained with it compute the same function here.
    """

    def __init__(self, extra_channels: int, stride: int, data_format: str) -> None:
        super().__init__()
        self.before = extra_channels // 2
        self.after = extra_channels - self.before
        self.stride, self.data_format = stride, data_format

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, C + extra_channels, ceil(H / stride), ceil(W / stride)]``."""
        sizes = self.stride, self.before, self.after
        padded = zero_pad(x, *sizes, self.data_format, self._reference)
        return self._reference(x) if padded is None else padded

    @property
    def supports_bfloat16(self) -> bool:
        """Whether the CPU operator knows this layer, for bfloat16 activations."""
        return True

    def _reference(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            # Windows of one pixel: the values of x[..., ::s, ::s], several times as fast in Paddle.
            x = F.avg_pool2d(x, 1, self.stride, data_format=self.data_format)
        axis = self.data_format.index("C")
        if not paddle.in_dynamic_mode():
            # In an exported graph: Paddle Inference's oneDNN kernel of `pad` ends the process.
            # Not elsewhere: Paddle has no second derivative of a concatenation with constants.
            front, back = (_zeros(x, axis, count) for count in (self.before, self.after))
            return paddle.concat([*front, x, *back], axis)
        pad = [0] * 8
        pad[2 * axis : 2 * axis + 2] = self.before, self.after
        return F.pad(x, pad)


def _zeros(x: Tensor, axis: int, count: int) -> list[Tensor]:
    """Return ``count`` channels of zeros, in tensors of at most as many channels as ``x``."""
    zeros = paddle.zeros_like(x)
    whole, rest = divmod(count, x.shape[axis])
    return [zeros] * whole + ([paddle.slice(zeros, [axis], [0], [rest])] if rest else [])


def zero_padding(ins: int, outs: int, stride: int, style: Style) -> Optional[nn.Layer]:
    """Option A: subsampling and zero channels where the shape changes, the identity elsewhere."""
    if outs < ins:
        raise ModelError(f"shortcut A can only add channels, not go from {ins} to {outs}.")
    return None if same(ins, outs, stride) else ZeroPad(outs - ins, stride, style.data_format)


def projection_where_needed(ins: int, outs: int, stride: int, style: Style) -> Optional[nn.Layer]:
    """Option B, the default: a projection where the shape changes, the identity elsewhere."""
    return None if same(ins, outs, stride) else projection(ins, outs, stride, style)


def projection(ins: int, outs: int, stride: int, style: Style) -> nn.Layer:
    """Option C: a 1x1 convolution with BN, everywhere."""
    return style.conv(ins, outs, 1, stride=stride, names=("downsample.0", "downsample.1"))


def pooled_projection(ins: int, outs: int, stride: int, style: Style) -> Optional[nn.Layer]:
    """Option D: average pooling, then a 1x1 convolution with stride 1 and BN, where needed.

    He et al. 2018, "Bag of Tricks" (arXiv:1812.01187), figure 2c: a strided 1x1 convolution does
    not look at three quarters of its input.
    """
    if same(ins, outs, stride):
        return None
    layout = style.data_format
    pool = nn.AvgPool2D(stride, stride, ceil_mode=True, data_format=layout)
    return nn.Sequential(
        pool if stride > 1 else nn.Identity(), style.conv(ins, outs, 1, names=("1", "2"))
    )


def biased_projection(ins: int, outs: int, stride: int, style: Style) -> Optional[nn.Layer]:
    """A 1x1 convolution with bias and without BN where the shape changes, as in many lessons."""
    if same(ins, outs, stride):
        return None
    names = ("downsample.0", "downsample.1")
    return style.conv(ins, outs, 1, stride=stride, bias=True, norm_layer=None, names=names)


def keras_downsample(ins: int, outs: int, stride: int, style: Style) -> Optional[nn.Layer]:
    """A biased 1x1 convolution only where the stride is not 1, as in Keras lessons."""
    if stride == 1 and ins != outs:
        raise ModelError(
            f"the keras shortcut cannot go from {ins} to {outs} channels with stride 1."
        )
    return biased_projection(ins, outs, stride, style)


def same(ins: int, outs: int, stride: int) -> bool:
    """Return whether input and output of a block have one shape."""
    return stride == 1 and ins == outs


SHORTCUTS: dict[str, Shortcut] = {
    "A": zero_padding,
    "B": projection_where_needed,
    "C": projection,
    "D": pooled_projection,
    "biased": biased_projection,
    "keras": keras_downsample,
}


def resolve_shortcut(shortcut: Union[str, bool, Shortcut]) -> Shortcut:
    """Return the maker that ``shortcut`` names.

    Args:
        shortcut: a key of :data:`SHORTCUTS`; True for ``"B"``; False for ``"C"`` (the meaning that
            Paddle's own lessons give the argument: "no identity shortcut here"); or a maker itself.

    Raises:
        ModelError: the name is unknown.
    """
    if isinstance(shortcut, bool):
        shortcut = "B" if shortcut else "C"
    return lookup("shortcut", shortcut, SHORTCUTS)
