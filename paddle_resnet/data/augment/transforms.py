"""Transforms of every batch: padded crop, flip, and 8-bit pixels to normalized floats."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def pad_and_crop(
    pixels: np.ndarray, padded: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Surround images by black pixels and cut the old size out of each.

    Args:
        pixels: uint8 [B, C, H, W].
        padded: uint8 [at least B, C, H + 2 P, W + 2 P], of zeros but for its inside, which is
            overwritten: so it can serve for every batch.
        rows, columns: integers [B] from 0 to 2 P, where each image's window begins.

    Returns:
        uint8 [B, C, H, W], an array of its own.
    """
    size, _, height, width = pixels.shape
    padding = (padded.shape[2] - height) // 2
    padded[:size, :, padding:-padding, padding:-padding] = pixels
    windows = sliding_window_view(padded, (height, width), axis=(2, 3))
    return windows[np.arange(size), :, rows, columns]


def flip(pixels: np.ndarray, flipped: np.ndarray) -> None:
    """Mirror some of the images left to right, in place.

    Args:
        pixels: uint8 [B, C, H, W].
        flipped: bool [B].
    """
    pixels[flipped] = pixels[flipped][..., ::-1]


def to_float(pixels: np.ndarray, scale: np.ndarray, shift: Optional[np.ndarray]) -> np.ndarray:
    """Return ``pixels * scale + shift``.

    Args:
        pixels: uint8 [B, C, H, W].
        scale, shift: float32 [C, 1, 1]; without a shift nothing is added.

    Returns:
        float32 [B, C, H, W].
    """
    images = pixels.astype(np.float32)
    images *= scale
    if shift is not None:
        images += shift
    return images
