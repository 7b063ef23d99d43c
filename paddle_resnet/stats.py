"""Intervals of accuracies and ratios of times."""

from __future__ import annotations

import math
import statistics

Z_95 = 1.959963984540054  # the normal distribution holds 95 % between -Z_95 and +Z_95


def wilson(successes: float, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval (low, high) of a proportion, both in [0, 1].

    Unlike ``p ± z·sqrt(p(1-p)/n)`` it stays inside [0, 1] and keeps a width at 0 % and 100 %.
    Covers the luck of drawing these test images, not the luck of the training seed.

    Raises:
        ValueError: ``trials`` is not positive or ``successes`` is not within [0, trials].
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials is no proportion.")
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At 0 and at `trials` the ends are exactly 0 and 1; rounding must not say 1e-17.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def ratios(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Return ``ratio`` (median), ``ratio_min`` and ``ratio_max`` of ``theirs / ours``.

    Args:
        ours: seconds of each round, of one side.
        theirs: seconds of the same rounds of the other side, measured in turns.
    """
    found = [b / a for a, b in zip(ours, theirs)]
    return {
        "ratio": statistics.median(found),
        "ratio_min": min(found),
        "ratio_max": max(found),
    }
