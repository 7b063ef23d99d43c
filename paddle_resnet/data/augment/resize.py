"""Scale whole batches down: two matrix products, since scaling is linear in the pixels."""

from __future__ import annotations

import functools

import numpy as np

from ...errors import DataError


def resize_batch(images: np.ndarray, side: int) -> np.ndarray:
    """Scale images to ``side`` x ``side`` by a triangle filter, as Pillow's BILINEAR does.

    Args:
        images: float32 [B, C, H, W].
        side: not above H and W.

    Returns:
        float32 [B, C, side, side]; the same array where nothing is to be done.

    Raises:
        DataError: ``side`` is above H or W, or below 1.
    """
    height, width = images.shape[2:]
    if not 1 <= side <= min(height, width):
        raise DataError(f"images of {height} x {width} pixels cannot be scaled down to {side}.")
    if height == width == side:
        return images
    return np.matmul(_weights(height, side), images) @ _weights(width, side).T


@functools.lru_cache(maxsize=64)
def _weights(old: int, new: int) -> np.ndarray:
    """Return how much each of the old pixels gives to each of the new ones: float32 [new, old]."""
    scale = old / new
    centers = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centers[:, None]) / scale
    weights = np.maximum(1 - distance, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
