"""The confusion matrix made ready for a page: cells with words, or an image for many classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import formatting
from ..pages.images import png_data_uri

# Numbers in more cells than this cannot be read on any screen.
MOST_CELLS_ACROSS = 20
# Shades of the style sheet, 0 (none) to LEVELS (all images of the class).
LEVELS = 8
# The share of a class at which a mistake has the deepest shade.
MOST_WRONG = 0.25
# The style sheet's blue (right) and vermilion (wrong): also for colour-blind eyes.
_RIGHT, _WRONG = (31, 102, 171), (204, 82, 20)


@dataclass(frozen=True)
class Cell:
    """A field of the matrix: ``shade`` 0..LEVELS, ``tip`` says it in words."""

    count: int
    shade: int
    right: bool
    tip: str


def depth(share: float, right: bool) -> float:
    """Turn a share of a class's images into a depth of colour, both fractions.

    What is right is shown as it is. Mistakes, each far rarer, go by their root and reach full
    depth at MOST_WRONG: 1 % must be visible and distinct from 5 %.
    """
    return share if right else min(1.0, math.sqrt(share / MOST_WRONG))


def shade(share: float, right: bool) -> int:
    """Return the shade 0..LEVELS of a share of a class's images; 0 for none at all."""
    return max(1, round(depth(share, right) * LEVELS)) if share > 0 else 0


def in_words(true: str, predicted: str, count: int, images: int) -> str:
    """Say a field of the matrix: ``cat taken for dog: 37 of 1,000 (3.7 %)``."""
    what = f"{true} recognised" if true == predicted else f"{true} taken for {predicted}"
    share = f" ({formatting.percent(count / images, 1)})" if images else ""
    return f"{what}: {formatting.count(count)} of {formatting.count(images)}{share}"


def cells(matrix: np.ndarray, names: list[str]) -> list[list[Cell]]:
    """Return the fields of a confusion matrix int [C, C], row by row; a row is a true class."""
    rows = []
    for t, row in enumerate(matrix):
        images = int(row.sum())
        rows.append(
            [
                Cell(
                    int(n),
                    shade(n / images if images else 0.0, t == p),
                    t == p,
                    in_words(names[t], names[p], int(n), images),
                )
                for p, n in enumerate(row)
            ]
        )
    return rows


def image(matrix: np.ndarray) -> str:
    """Return the matrix int [C, C] as a PNG data URI, one pixel a field, clear where it is 0."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(len(matrix), dtype=bool)
    pixels = np.zeros((*matrix.shape, 4), np.uint8)
    pixels[..., :3] = np.where(diagonal[..., None], _RIGHT, _WRONG)
    depths = np.where(diagonal, shares, np.minimum(1.0, np.sqrt(shares / MOST_WRONG)))
    pixels[..., 3] = np.round(depths * 255)
    return png_data_uri(pixels)


def sparse(matrix: np.ndarray) -> list[list[int]]:
    """Return [true, predicted, count] of every field that is not 0, for the read-out."""
    return [[int(t), int(p), int(matrix[t, p])] for t, p in np.argwhere(matrix)]
