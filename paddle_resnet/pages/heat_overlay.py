"""Colours of heat maps, and heat maps laid over images."""

from __future__ import annotations

import numpy as np
from PIL import Image

#: From pale to dark, readable on white and on black: (position, red, green, blue).
_RAMP = np.array(
    [
        (0.00, 253, 231, 190),
        (0.25, 246, 170, 101),
        (0.50, 209, 94, 96),
        (0.75, 122, 50, 120),
        (1.00, 38, 28, 84),
    ]
)
#: Small images are enlarged to at least that, by whole factors.
_LEAST_SIDE = 224
_GAP = 8


def ramp(shares: np.ndarray) -> np.ndarray:
    """Return uint8 [..., 3] for shares 0 (pale) to 1 (dark) of any shape."""
    channels = [np.interp(shares, _RAMP[:, 0], _RAMP[:, i]) for i in (1, 2, 3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def overlay(pixels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return an image under its heat map.

    Args:
        pixels: uint8 [H, W, 3] or [H, W]; it becomes grey, so that all colour is the heat map's.
        shares: float [H, W], 0 (grey) to 1 (pale yellow).

    Returns:
        uint8 [H, W, 3].
    """
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=-1)
    share = np.clip(shares, 0, 1)
    weight = 0.75 * np.sqrt(share)[..., None]
    mixed = (1 - weight) * grey[..., None] + weight * ramp(1 - 0.9 * share)
    return np.clip(mixed, 0, 255).round().astype(np.uint8)


def side_by_side(pixels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return an image and, to its right, the image under its heat map, on white.

    Args:
        pixels: uint8 [C, H, W] with 1 or 3 channels, as a network takes them; enlarged by a whole
            factor where it is small.
        shares: float [H, W], the heat map, 0 to 1.

    Returns:
        uint8 [H', 2 * W' + 8, 3].
    """
    channels, height, width = pixels.shape
    original = pixels.transpose(1, 2, 0).repeat(3 // channels, axis=2)
    factor = max(1, -(-_LEAST_SIDE // max(height, width)))
    original = original.repeat(factor, axis=0).repeat(factor, axis=1)
    # The heat map is smooth: enlarged smoothly, not in squares.
    size = (width * factor, height * factor)
    larger = Image.fromarray(shares.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    gap = np.full((original.shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([original, gap, overlay(original, np.asarray(larger))], axis=1)
