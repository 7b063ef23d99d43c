"""State dicts: what each object of a training needs to be restored from a checkpoint.

A state dict is made of dicts with text keys, lists, texts, numbers, None and NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from paddle import nn

from ...errors import UserError, WeightsError, for_display
from ...weights.save_load import assign_weights


@runtime_checkable
class Stateful(Protocol):
    """An object that is part of checkpoints."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a later process needs to restore it."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`, which may be a file's and therefore anything."""


class NetworkState:
    """The weights of a network, BN statistics included."""

    def __init__(self, network: nn.Layer) -> None:
        self.network = network

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the arrays by their structured names."""
        return {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Copy them into the network.

        Raises:
            WeightsError: they are another network's.
        """
        if not all(isinstance(array, np.ndarray) for array in state.values()):
            raise TypeError("weights that are not arrays")
        assign_weights(self.network, state, "the checkpoint")


class ScalerState:
    """A gradient scaler of mixed precision, which may be switched off and then has no state."""

    def __init__(self, scaler: Any) -> None:
        self.scaler = scaler

    def state_dict(self) -> dict[str, Any]:
        """Return Paddle's state dict; empty if the scaler is switched off."""
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        if state:
            self.scaler.load_state_dict(state)


class CompositeState:
    """Several objects as one.

    Args:
        parts: the objects by their names.
        origin: what the states come from, for sentences.
        optional: whether objects without a state stay as they are. Default: they are an error.
    """

    def __init__(
        self,
        parts: Mapping[str, Stateful],
        origin: str = "the checkpoint",
        optional: bool = False,
    ) -> None:
        self.parts = parts
        self.origin = origin
        self.optional = optional

    def state_dict(self) -> dict[str, Any]:
        """Return the state dicts by the names of the objects."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore each object.

        Raises:
            WeightsError: a state cannot be used by its object.
            UserError: an object's own objection.
        """
        for name, part in self.parts.items():
            if self.optional and name not in state:
                continue
            try:
                part.load_state_dict(state[name])
            except UserError:
                raise
            # What unexpected values lead to; RuntimeError is Paddle's schedulers'.
            except (
                *(KeyError, TypeError, ValueError, AttributeError, IndexError),
                *(ArithmeticError, AssertionError, RuntimeError),
            ) as error:
                reason = for_display(" ".join(str(error).split()))
                raise WeightsError(
                    f"{self.origin} holds a state of '{name}' that cannot be used ({reason})."
                ) from None


def named_callbacks(callbacks: Iterable[Any]) -> dict[str, Stateful]:
    """Return the callbacks that have a state, by the names of their classes.

    Of several of one class, the second is ``Name 2``.
    """
    parts: dict[str, Stateful] = {}
    for callback in callbacks:
        if isinstance(callback, Stateful):
            name = kind = type(callback).__name__
            number = 2
            while name in parts:
                name, number = f"{kind} {number}", number + 1
            parts[name] = callback
    return parts
