"""What all layers of one network share, handed from the network down to each maker of layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from paddle import nn

from ..errors import ModelError, for_display
from .activation_functions import Activation
from .conv_bn import ConvBNLayer, NormLayer, make_norm


@dataclass(frozen=True)
class Style:
    """Activation, normalisation and layout of a network; see :class:`ConvBNLayer` for each.

    Raises:
        ModelError: a ``data_format`` or ``padding`` that does not exist, a norm that is no maker.
    """

    act: Activation = "relu"
    norm_layer: Optional[NormLayer] = nn.BatchNorm2D
    data_format: str = "NCHW"
    bias: bool = False
    padding: Optional[str] = None

    def __post_init__(self) -> None:
        if self.data_format not in ("NCHW", "NHWC"):
            raise ModelError(
                f"data_format must be NCHW or NHWC, got {for_display(repr(self.data_format))}."
            )
        if self.padding not in (None, "same"):
            raise ModelError(
                f"padding must be 'same' or None, got {for_display(repr(self.padding))}."
            )
        if self.norm_layer is not None and not callable(self.norm_layer):
            raise ModelError(
                "norm_layer must make a layer from a channel count, as paddle.nn.BatchNorm2D does, "
                f"got {for_display(repr(self.norm_layer))}."
            )

    @property
    def channel_axis(self) -> int:
        """1 or 3: where the channels are in ``[N, C, H, W]`` or ``[N, H, W, C]``."""
        return self.data_format.index("C")

    def conv(self, num_channels: int, num_filters: int, filter_size: int, **options) -> ConvBNLayer:
        """Make a :class:`ConvBNLayer` in this style, without activation unless ``act`` is given."""
        shared = {key: getattr(self, key) for key in ("norm_layer", "data_format", "bias")}
        shared["padding"] = self.padding
        return ConvBNLayer(num_channels, num_filters, filter_size, **{**shared, **options})

    def norm(self, channels: int) -> nn.Layer:
        """Make a normalisation in this style, the identity where it has none."""
        if self.norm_layer is None:
            return nn.Identity()
        return make_norm(self.norm_layer, channels, self.data_format)


#: ReLU, BatchNorm2D, NCHW: what is meant where no style is given.
PLAIN = Style()
