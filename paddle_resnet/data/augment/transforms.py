"""Transforms of every batch: padded crop, flip, and 8-bit pixels to normalized floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...errors import DataError, for_display


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


def scale_and_shift(
    channels: int, mean: Optional[Sequence[float]], std: Optional[Sequence[float]]
) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Turn ``(pixel / 255 - mean) / std`` into ``pixel * scale + shift``: two passes, not four.

    Args:
        channels: C.
        mean, std: of each channel, of pixels in [0, 1]. Default: 0 and 1.

    Returns:
        float32 [C, 1, 1] each; no shift without a mean.

    Raises:
        DataError: not C finite numbers, or a deviation that is not above 0.
    """
    values = {}
    for name, given in (("mean", mean), ("std", std)):
        if given is None:
            continue
        try:
            values[name] = np.array(given, np.float64)
        except (TypeError, ValueError):
            raise DataError(
                f"{name} must be {channels} numbers, not {for_display(repr(given))}."
            ) from None
        if values[name].shape != (channels,) or not np.isfinite(values[name]).all():
            raise DataError(
                f"{name} must be {channels} numbers, one a channel, not {for_display(repr(given))}."
            )
    deviation = values.get("std", np.ones(channels))
    if (deviation <= 0).any():
        raise DataError(f"std must be above 0 in every channel, not {for_display(repr(std))}.")
    shape = (channels, 1, 1)
    scale = (1 / (255 * deviation)).astype(np.float32).reshape(shape)
    if "mean" not in values:
        return scale, None
    return scale, (-values["mean"] / deviation).astype(np.float32).reshape(shape)
