"""Numbers of a state dict, which may be a file's and therefore anything."""

from __future__ import annotations

import math
from typing import Any


def finite(state: dict[str, Any], name: str) -> float:
    """Return a number of a state dict.

    Raises:
        KeyError: there is none of that name.
        ValueError: it is of another type, negative, or non-finite.
    """
    value = state[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}")
    return float(value)


def count(state: dict[str, Any], name: str) -> int:
    """Return a whole number of a state dict.

    Raises:
        KeyError: there is none of that name.
        ValueError: it is not whole, or negative.
    """
    value = finite(state, name)
    if value != int(value):
        raise ValueError(f"{name} is {value!r}")
    return int(value)
