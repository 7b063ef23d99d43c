"""Differences of two computations, and ratios of their speeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def keys(a: Mapping[str, Sequence[int]], b: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Compare the names and shapes of two state dicts.

    Returns:
        dict: ``agree``, ``a`` and ``b`` (how many names), ``only_a``, ``only_b`` (names),
        ``shapes`` (names in both, of different shapes).
    """
    only_a = [name for name in a if name not in b]
    only_b = [name for name in b if name not in a]
    shapes = [name for name in a if name in b and list(a[name]) != list(b[name])]
    return {
        "agree": not (only_a or only_b or shapes),
        "a": len(a),
        "b": len(b),
        "only_a": only_a,
        "only_b": only_b,
        "shapes": shapes,
    }


def arrays(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Return ``max_abs`` difference and the ``largest`` magnitude among both; NaN where one is."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return {
            "max_abs": float(np.abs(a - b).max()),
            "largest": float(max(np.abs(a).max(), np.abs(b).max())),
        }


def worse(value: float, worst: float) -> bool:
    """Return whether a value is larger; NaN counts as the largest."""
    return not math.isnan(worst) and (math.isnan(value) or value > worst)


def gradients(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Compare gradients of equal names.

    Returns:
        dict: ``max_abs`` over all entries and ``where`` it is; ``largest`` magnitude;
        ``relative``, the norm of the difference over the norm of ``a``, all gradients taken
        together; ``tensors``, how many.
    """
    worst, where, largest, distance, norm = 0.0, None, 0.0, 0.0, 0.0
    for name in a:
        apart = arrays(a[name], b[name])
        if worse(apart["max_abs"], worst):
            worst, where = apart["max_abs"], name
        if worse(apart["largest"], largest):
            largest = apart["largest"]
        difference = a[name].astype(np.float64) - b[name]
        distance += float((difference**2).sum())
        norm += float((a[name].astype(np.float64) ** 2).sum())
    return {
        "max_abs": worst,
        "where": where,
        "largest": largest,
        "relative": math.sqrt(distance / norm) if norm else math.sqrt(distance),
        "tensors": len(a),
    }


def speeds(seconds_a: Sequence[float], seconds_b: Sequence[float], images: int) -> dict[str, Any]:
    """Turn the seconds of rounds taken in turns into images per second and their ratio.

    Args:
        seconds_a, seconds_b: of each round.
        images: in a round.

    Returns:
        dict: ``a``, ``b`` and ``ratio`` (a over b, round by round), each with ``median``, ``min``,
        ``max`` and ``rounds`` (every value).
    """
    ratios = [b / a for a, b in zip(seconds_a, seconds_b)]
    return {
        "a": _spread([images / s for s in seconds_a]),
        "b": _spread([images / s for s in seconds_b]),
        "ratio": _spread(ratios),
    }


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "rounds": values,
    }
