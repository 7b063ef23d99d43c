"""What carries the input past a residual block (He et al. 2015, arXiv:1512.03385, section 4.1).

A shortcut is made by a function of ``(in_channels, out_channels, stride, norm_layer)``, which
returns a layer, or None where the input itself is added.
"""

from __future__ import annotations

from typing import Callable, Optional, Union

from paddle import nn

from ..errors import ModelError, nearest
from .conv_bn import ConvBNLayer

Shortcut = Callable[[int, int, int, Callable[[int], nn.Layer]], Optional[nn.Layer]]


def projection(
    in_channels: int, out_channels: int, stride: int, norm_layer: Callable[[int], nn.Layer]
) -> nn.Layer:
    """A 1x1 convolution with BN, everywhere (option C)."""
    return ConvBNLayer(in_channels, out_channels, 1, stride=stride, norm_layer=norm_layer)


def projection_where_needed(
    in_channels: int, out_channels: int, stride: int, norm_layer: Callable[[int], nn.Layer]
) -> Optional[nn.Layer]:
    """A projection where the shape changes, the identity elsewhere (option B, the default)."""
    if stride == 1 and in_channels == out_channels:
        return None
    return projection(in_channels, out_channels, stride, norm_layer)


SHORTCUTS: dict[str, Shortcut] = {"B": projection_where_needed, "C": projection}


def resolve_shortcut(shortcut: Union[str, bool, Shortcut]) -> Shortcut:
    """Return the maker that ``shortcut`` names.

    Args:
        shortcut: ``"B"`` or ``"C"``; True for ``"B"``; False for ``"C"`` (the meaning that Paddle's
            own lessons give the argument: "no identity shortcut here"); or a maker itself.

    Raises:
        ModelError: the name is unknown.
    """
    if isinstance(shortcut, bool):
        return projection_where_needed if shortcut else projection
    if callable(shortcut):
        return shortcut
    if shortcut not in SHORTCUTS:
        raise ModelError(
            f"unknown shortcut {shortcut!r}, expected one of {', '.join(SHORTCUTS)}."
            + nearest(str(shortcut), SHORTCUTS)
        )
    return SHORTCUTS[shortcut]
