"""The unit of computation of every residual network here: conv + BN (+ shortcut) (+ activation)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Callable, Optional

from paddle import Tensor, nn
from paddle.nn import functional as F

from ..errors import ModelError, nearest

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
}


class ConvBNLayer(nn.Layer):
    """Convolution without bias, batch normalisation, then an optional sum and activation.

    ``forward(x, residual)`` computes ``act(bn(conv(x)) + residual)``: the whole of
    equation (1) of He et al. 2015 (arXiv:1512.03385) around the last layer of a residual function.
    It is one call because the sum and the activation cost as much memory traffic as the
    convolution's output itself: a fused implementation replaces exactly this method.

    In state dicts the unit uses the names that torchvision and ``paddle.vision`` give the two
    layers: a unit named ``conv2`` saves ``conv2.weight`` and ``bn2.weight``, one named
    ``downsample`` saves ``downsample.0.weight`` and ``downsample.1.weight``, any other ``X``
    saves ``X.conv.weight`` and ``X.bn.weight``.

    Args:
        num_channels (int): channels of the input.
        num_filters (int): channels of the output.
        filter_size (int): height and width of the kernel.
        stride (int): of the convolution. Default: 1.
        groups (int): of the convolution. Default: 1.
        act (str, optional): ``relu``, ``gelu``, ``silu``, ``leaky_relu`` or None. Default: None.
        dilation (int): of the convolution. Default: 1.
        norm_layer (callable): makes the normalisation from a channel count.
            Default: ``paddle.nn.BatchNorm2D``.

    Shape:
        - x: ``[N, num_channels, H, W]``, float32.
        - residual: the output's shape, or None.
        - output: ``[N, num_filters, ceil(H / stride), ceil(W / stride)]`` (odd kernels, padding
          ``dilation * (filter_size - 1) // 2``).

    Raises:
        ModelError: ``act`` is unknown.
    """

    def __init__(
        self,
        num_channels: int,
        num_filters: int,
        filter_size: int,
        stride: int = 1,
        groups: int = 1,
        act: Optional[str] = None,
        *,
        dilation: int = 1,
        norm_layer: Callable[[int], nn.Layer] = nn.BatchNorm2D,
    ) -> None:
        super().__init__()
        if act is not None and act not in ACTIVATIONS:
            raise ModelError(
                f"unknown activation '{act}', expected one of {', '.join(ACTIVATIONS)} or None."
                + nearest(str(act), ACTIVATIONS)
            )
        self.act = act
        # Fan-out keeps the variance of the gradients through the depth (He et al. 2015,
        # arXiv:1502.01852, section 2.2); it is what the published ResNets start from.
        fan_out = filter_size * filter_size * num_filters // groups
        self.conv = nn.Conv2D(
            num_channels,
            num_filters,
            filter_size,
            stride=stride,
            padding=dilation * (filter_size - 1) // 2,
            dilation=dilation,
            groups=groups,
            weight_attr=nn.initializer.KaimingNormal(fan_in=fan_out),
            bias_attr=False,
        )
        self.bn = norm_layer(num_filters)

    def forward(self, x: Tensor, residual: Optional[Tensor] = None) -> Tensor:
        """Return ``act(bn(conv(x)) + residual)``."""
        y = self.bn(self.conv(x))
        if residual is not None:
            y = y + residual
        return y if self.act is None else ACTIVATIONS[self.act](y)

    def extra_repr(self) -> str:
        """Name the activation in ``print(network)``."""
        return f"act={self.act}"

    # The two methods below give the inner layers their public names, at whatever depth the unit
    # sits and whoever asks: state_dict, set_state_dict, paddle.save, jit.save, named_parameters.

    def _state_dict_impl(  # type: ignore[override]
        self, destination=None, include_sublayers=True, structured_name_prefix="", *args, **kwargs
    ):
        own = super()._state_dict_impl(None, include_sublayers, "", *args, **kwargs)
        destination = OrderedDict() if destination is None else destination
        for name, value in own.items():
            destination[_public_name(structured_name_prefix, name)] = value
        return destination

    def named_sublayers(
        self, prefix: str = "", include_self: bool = False, *args, **kwargs
    ) -> Iterator[tuple[str, nn.Layer]]:
        """Yield ``(name, layer)`` pairs under the public names: ``conv2`` and ``bn2``."""
        if include_self:
            yield prefix, self
        for name, layer in super().named_sublayers("", False, *args, **kwargs):
            yield _public_name(prefix + "." if prefix else "", name), layer


def _public_name(prefix: str, name: str) -> str:
    """Turn ``("layer1.0.conv2.", "bn.weight")`` into ``"layer1.0.bn2.weight"``."""
    head, dot, unit = prefix[:-1].rpartition(".")
    part, _, rest = name.partition(".")
    if unit.startswith("conv"):
        part = unit if part == "conv" else "bn" + unit[len("conv") :]
        prefix = head + dot
    elif unit == "downsample":
        part = "0" if part == "conv" else "1"
    return prefix + part + ("." + rest if rest else "")
