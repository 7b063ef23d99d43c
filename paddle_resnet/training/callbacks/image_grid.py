"""Batches of images as pixels again, and many images in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

#: A grid is at most this wide and high, in pixels, unless a single image is larger.
LARGEST = 1024


def pixels(
    images: np.ndarray, mean: Optional[Sequence[float]], std: Optional[Sequence[float]]
) -> np.ndarray:
    """Undo the normalization of a batch.

    Args:
        images: float32 [N, C, H, W], which are ``(pixel / 255 - mean) / std``.
        mean, std: one value a channel; None if they were not used.

    Returns:
        uint8 [N, C, H, W], clipped to 0 to 255.
    """
    shape = (-1, 1, 1)
    if std is not None:
        images = images * np.array(std, np.float32).reshape(shape)
    if mean is not None:
        images = images + np.array(mean, np.float32).reshape(shape)
    return (images * 255).round().clip(0, 255).astype(np.uint8)


def grid(images: np.ndarray) -> np.ndarray:
    """Put images side by side, 8 in a row and 8 rows, or as many as a grid has room for.

    Args:
        images: uint8 [N, C, H, W], N above 0; the first ones are taken.

    Returns:
        uint8 [H', W', C], with a black line of 2 pixels between two images and 1 around all.
    """
    images = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    _, channels, height, width = images.shape
    rows, columns = (min(max(LARGEST // side, 1), 8) for side in (height, width))
    columns = min(columns, len(images))
    images = images[: rows * columns]
    rows = -(-len(images) // columns)
    cells = np.zeros((rows * columns, channels, height, width), np.uint8)
    cells[: len(images)] = images
    cells = cells.reshape(rows, columns, channels, height, width)
    tiled = cells.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    return np.repeat(tiled, 3, axis=2) if channels == 1 else tiled
