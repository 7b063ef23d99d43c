"""What the parts of a training remember, gathered for a checkpoint and given back.

Whatever has ``state()`` and ``load_state(state)`` takes part: the stream of batches, the pace, the
optimizer, any callback. A state is made of dicts with text keys, lists, texts, numbers, None and
NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from paddle import nn

from ...errors import UserError, WeightsError
from ...weights.save_load import assign_weights


@runtime_checkable
class Stateful(Protocol):
    """Something that a checkpoint remembers."""

    def state(self) -> dict[str, Any]:
        """Return what a later process needs to go on."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`, which may be a file's and therefore anything."""


class NetworkState:
    """The weights of a network, running statistics included."""

    def __init__(self, network: nn.Layer) -> None:
        self.network = network

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays by their structured names."""
        return {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Copy them into the network.

        Raises:
            WeightsError: they are another network's.
        """
        if not all(isinstance(array, np.ndarray) for array in state.values()):
            raise TypeError("weights that are no arrays")
        assign_weights(self.network, state, "the checkpoint")


class Together:
    """Several parts as one; those that a file does not know are left as they are."""

    def __init__(self, parts: Mapping[str, Stateful]) -> None:
        self.parts = parts

    def state(self) -> dict[str, Any]:
        """Return the states by the names of the parts."""
        return gather(self.parts)

    def load_state(self, state: dict[str, Any]) -> None:
        """Give those parts a state that have one: a part may have been added since."""
        known = {name: part for name, part in self.parts.items() if name in state}
        restore(known, state, "the checkpoint")


def named(callbacks: Iterable[Any]) -> dict[str, Stateful]:
    """Return those callbacks that remember something, by the names of their classes.

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


def gather(parts: Mapping[str, Stateful]) -> dict[str, Any]:
    """Return the states of all parts by their names."""
    return {name: part.state() for name, part in parts.items()}


def restore(parts: Mapping[str, Stateful], states: dict[str, Any], origin: str) -> None:
    """Give each part its state back.

    Raises:
        WeightsError: a state is not what its part can use; ``origin`` says whose it is.
        UserError: a part's own objection.
    """
    for name, part in parts.items():
        try:
            part.load_state(states[name])
        except UserError:
            raise
        # What meets values of another kind than it wrote; RuntimeError is Paddle's schedulers'.
        except (
            *(KeyError, TypeError, ValueError, AttributeError, IndexError),
            *(ArithmeticError, AssertionError, RuntimeError),
        ) as error:
            reason = " ".join(str(error).split())[:100]
            raise WeightsError(
                f"{origin} holds a state of '{name}' that cannot be used ({reason})."
            ) from None
