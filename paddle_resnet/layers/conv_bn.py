"""The unit of computation of every residual network here: conv + BN (+ shortcut) (+ activation)."""

from __future__ import annotations

from typing import Callable, Optional, Union

from paddle import Tensor, nn

from ..errors import ModelError
from ..kernels.conv_bn_act import conv_bn_act, unsupported_layers
from .activation_functions import Activation, add_act, make_activation
from .flat_names import FlatNames
from .pooling import MaxPool2D

NormLayer = Callable[..., nn.Layer]


class ConvBNLayer(FlatNames, nn.Layer):
    """Convolution without bias, batch normalisation, then an optional sum and activation.

    ``forward(x, residual)`` computes ``act(bn(conv(x)) + residual)``: the whole of
    equation (1) of He et al. 2015 (arXiv:1512.03385) around the last layer of a residual function.
    It is one call because the sum and the activation cost as much memory traffic as the
    convolution's output itself: a fused implementation replaces exactly this method.

    In state dicts the unit uses the names that torchvision and ``paddle.vision`` give the two
    layers: a unit named ``conv2`` saves ``conv2.weight`` and ``bn2.weight``, any other ``X`` saves
    ``X.conv.weight`` and ``X.bn.weight``, and ``names`` sets both.

    Args:
        num_channels (int): channels of the input.
        num_filters (int): channels of the output.
        filter_size (int): height and width of the kernel.
        stride (int): of the convolution. Default: 1.
        groups (int): of the convolution. Default: 1.
        act: ``relu``, ``gelu``, ``silu``, ``leaky_relu``, a function, a Layer class such as
            ``nn.PReLU``, or None. Default: None.
        dilation (int): of the convolution. Default: 1.
        padding (int | str, optional): zeros on each side, or ``"same"``: TensorFlow's, which puts
            the odd one at the bottom right. Default: ``dilation * (filter_size - 1) // 2``.
        bias (bool): whether the convolution has one. Default: False.
        max_pool (bool): whether 2x2 max-pooling comes between the convolution and the norm, as in
            the networks of the CIFAR-10 speed records: ``act(bn(maxpool(conv(x))) + residual)``.
            The CPU operator does not write the larger activation where it computes 3x3 windows by
            Winograd's algorithm (docs/cpu.md). Default: False.
        norm_layer (callable, optional): makes the normalisation from a channel count; None for no
            normalisation. With ``NHWC`` it is also given ``data_format``.
            Default: ``paddle.nn.BatchNorm2D``.
        data_format (str): ``NCHW`` or ``NHWC``, of input and output. Default: ``NCHW``.
        names (pair of str, optional): what conv and bn are called in the state dict, next to the
            unit's own name.

    Shape:
        - x: ``[N, num_channels, H, W]``, float32; or, on a CPU, bfloat16.
        - residual: the output's shape and dtype, or None.
        - output: ``[N, num_filters, ceil(H / stride), ceil(W / stride)]`` (odd kernels, default
          padding), with ``max_pool`` half as high and wide, of x's dtype. Weights and statistics
          are float32.

    Raises:
        ModelError: ``act`` is unknown, no channels, or channels that ``groups`` does not divide.
    """

    def __init__(
        self,
        num_channels: int,
        num_filters: int,
        filter_size: int,
        stride: int = 1,
        groups: int = 1,
        act: Activation = None,
        *,
        dilation: int = 1,
        padding: Union[int, str, None] = None,
        bias: bool = False,
        max_pool: bool = False,
        norm_layer: Optional[NormLayer] = nn.BatchNorm2D,
        data_format: str = "NCHW",
        names: Optional[tuple[str, str]] = None,
    ) -> None:
        super().__init__()
        if min(num_channels, num_filters) < 1:
            raise ModelError(f"no convolution goes from {num_channels} to {num_filters} channels.")
        if groups < 1 or num_channels % groups or num_filters % groups:
            raise ModelError(
                f"a convolution from {num_channels} to {num_filters} channels cannot have {groups} "
                "groups: both numbers must be multiples of it."
            )
        if padding == "same" and dilation > 1:
            raise ModelError("padding 'same' and dilation do not go together in Paddle.")
        self.act = make_activation(act)
        self.names = names
        # Fan-out keeps the variance of the gradients through the depth (He et al. 2015,
        # arXiv:1502.01852, section 2.2); it is what the published ResNets start from.
        fan_out = filter_size * filter_size * num_filters // groups
        self.conv = nn.Conv2D(
            num_channels,
            num_filters,
            filter_size,
            stride=stride,
            padding=dilation * (filter_size - 1) // 2 if padding is None else padding,
            dilation=dilation,
            groups=groups,
            weight_attr=nn.initializer.KaimingNormal(fan_in=fan_out),
            bias_attr=None if bias else False,
            data_format=data_format,
        )
        self.pool = MaxPool2D(2, data_format=data_format) if max_pool else None
        self.bn = None if norm_layer is None else make_norm(norm_layer, num_filters, data_format)

    def forward(self, x: Tensor, residual: Optional[Tensor] = None) -> Tensor:
        """Return ``act(bn(conv(x)) + residual)``, with the pooling that was asked for."""
        fused = conv_bn_act(self.conv, self.bn, self.act, x, residual, self._reference, self.pool)
        return self._reference(x, residual) if fused is None else fused

    @property
    def supports_bfloat16(self) -> bool:
        """Whether the CPU operator knows this unit, for bfloat16 activations."""
        return not unsupported_layers(self.conv, self.bn, self.act, self.pool)

    def _reference(self, x: Tensor, residual: Optional[Tensor]) -> Tensor:
        y = self.conv(x) if self.pool is None else self.pool(self.conv(x))
        return add_act(y if self.bn is None else self.bn(y), residual, self.act)

    def extra_repr(self) -> str:
        """Name the activation in ``print(network)``."""
        return f"act={self.act}"


def make_norm(norm_layer: NormLayer, channels: int, data_format: str) -> nn.Layer:
    """Make a normalisation; the layout is only said where it is not Paddle's default."""
    if data_format == "NCHW":
        return norm_layer(channels)
    return norm_layer(channels, data_format=data_format)
