"""How many times as fast one side is as the other, from rounds measured in turns."""

from __future__ import annotations

import statistics


def ratios(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Return ``ratio`` (median), ``ratio_min`` and ``ratio_max`` of the rounds' seconds."""
    found = [b / a for a, b in zip(ours, theirs)]
    return {
        "ratio": statistics.median(found),
        "ratio_min": min(found),
        "ratio_max": max(found),
    }
