"""Exact mean and standard deviation per channel."""

from __future__ import annotations

import numpy as np


def mean_and_std(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Return both per channel, of pixels in [0, 1], over all pixels.

    Counts how often each of the 256 values occurs. Counts are integers: order and rounding do not
    matter, and no float copy of the images is made.

    Args:
        images: uint8 [N, C, H, W].
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, np.int64)
        for first in range(0, len(images), 1000):
            counts += np.bincount(images[first : first + 1000, channel].ravel(), minlength=256)
        share = counts / counts.sum()
        mean = float(share @ values)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (values - mean) ** 2)))
    return means, deviations
