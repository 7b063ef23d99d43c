"""Cards of a page: one metric each, and how many of them stand side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A metric; ``gauge`` draws a fraction with its interval on a scale from 0 to 1."""

    label: str
    value: str
    detail: str = ""
    gauge: Gauge | None = None


@dataclass(frozen=True)
class Gauge:
    """Fractions: the value, the ends of its 95 % interval, what guessing would reach (or NaN)."""

    value: float
    low: float
    high: float
    chance: float


def card_spans(cards: list[Card]) -> list[int]:
    """Return how many twelfths of the width each card takes, so that no row has a hole.

    A first card with a gauge is as high as two rows; two or four others stand next to it.
    """
    if not (cards and cards[0].gauge):
        return _even(len(cards))
    others = len(cards) - 1
    beside = 4 if others in (4, 7) else min(others, 2)
    return [6 if others else 12, *[3 if beside == 4 else 6] * beside, *_even(others - beside)]


def _even(number_of_cards: int) -> list[int]:
    """Spread cards over rows of two to four."""
    rows = math.ceil(number_of_cards / 4)
    spans: list[int] = []
    for row in range(rows):
        in_row = math.ceil((number_of_cards - len(spans)) / (rows - row))
        spans += [12 // in_row] * in_row
    return spans
