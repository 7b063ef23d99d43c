"""Activations, by name or injected, and the sum that precedes them at the end of a block."""

from __future__ import annotations

from typing import Callable, Optional, Union

from paddle import Tensor, nn
from paddle.nn import functional as F

from .lookup import lookup

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
}

#: A name; a function of a tensor; a Layer class, made anew at each place; None for no activation.
Activation = Union[str, Callable[[Tensor], Tensor], type, None]


def make_activation(act: Activation) -> Union[str, Callable[[Tensor], Tensor], None]:
    """Check ``act``, and turn a Layer class (``nn.PReLU``) into a layer of its own.

    Raises:
        ModelError: an unknown name, or something that cannot be called.
    """
    if isinstance(act, type) and issubclass(act, nn.Layer):
        return act()
    if act is not None:
        lookup("activation", act, ACTIVATIONS)
    return act


def add_act(x: Tensor, residual: Optional[Tensor], act: Activation) -> Tensor:
    """Return ``act(x + residual)``, each of the two where it is given."""
    if residual is not None:
        x = x + residual
    if act is None:
        return x
    return ACTIVATIONS[act](x) if isinstance(act, str) else act(x)


class AddAct(nn.Layer):
    """:func:`add_act` as a layer, where it cannot be the last part of a convolution's unit."""

    def __init__(self, act: Activation) -> None:
        super().__init__()
        self.act = make_activation(act)

    def forward(self, x: Tensor, residual: Optional[Tensor] = None) -> Tensor:
        """Return ``act(x + residual)``."""
        return add_act(x, residual, self.act)
