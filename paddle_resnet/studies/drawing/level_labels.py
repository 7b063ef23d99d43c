"""Where the name of a level stands: at the end and on the side of its line that hide least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: A letter and a line of text, as shares of a panel's width and height (a third of a page).
LETTER, LINE = 0.02, 0.09
_OUTSIDE, _ON_A_LEVEL = 60, 30


def places(
    heights: Sequence[float], labels: Sequence[str], marks: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[str]:
    """Return for each level ``right``, ``left``, ``right under`` or ``left under``.

    Args:
        heights: of the levels, as fractions from the bottom.
        labels: their names.
        marks: (x, y) of each item that is drawn, as fractions from left and bottom; with many
            points where it is a line.
    """
    found = []
    for height, label in zip(heights, labels):
        width = (len(label) + 2) * LETTER
        costs = {}
        for side in ("right", "left", "right under", "left under"):
            left = 0.0 if "left" in side else 1.0 - width
            low = height - LINE if "under" in side else height
            hidden = sum(
                int(np.sum((x >= left) & (x <= left + width) & (y >= low) & (y <= low + LINE)))
                for x, y in marks
            )
            outside = low < 0 or low + LINE > 1.03
            crossed = any(low < other < low + LINE for other in heights if other != height)
            costs[side] = hidden + _OUTSIDE * outside + _ON_A_LEVEL * crossed
        found.append(min(costs, key=lambda side: costs[side]))
    return found


def along(x: np.ndarray, y: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return many points of a line; where it has gaps the points are not finite."""
    if len(x) < 2:
        return x, y
    at = np.linspace(0, len(x) - 1, points)
    index = np.arange(len(x))
    return np.interp(at, index, x), np.interp(at, index, y)
