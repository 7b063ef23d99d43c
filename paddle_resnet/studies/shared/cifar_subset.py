"""Balanced subsets of CIFAR-10, normalized, at full or half size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from ...data import CIFAR10_MEAN, CIFAR10_STD
from ...errors import UserError


class Subset(NamedTuple):
    """Images and their labels."""

    images: np.ndarray  # float32 [N, 3, S, S], normalized
    labels: np.ndarray  # int64 [N]


def balanced_indices(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the indices of ``count`` images, as many of each of the ten classes, shuffled.

    One ``RandomState(seed)`` draws a permutation per class, in class order, whose first
    ``count / 10`` are taken, and then the order of the whole.

    Args:
        labels: int64 [n], classes 0 to 9.
        count: a multiple of 10. If a class has fewer images than ``count / 10``, as in the bundled
            sample, every class gives as many as the smallest one has.
        seed: of the drawing.

    Returns:
        int64 [count], or shorter.

    Raises:
        UserError: ``count`` is no positive multiple of 10.
    """
    if count < 10 or count % 10:
        raise UserError(f"the number of images must be a positive multiple of 10, got {count}.")
    random = np.random.RandomState(seed)
    of_class = [np.flatnonzero(labels == label) for label in range(10)]
    each = min(count // 10, *map(len, of_class))
    chosen = [random.permutation(indices)[:each] for indices in of_class]
    return random.permutation(np.concatenate(chosen))


def normalize(
    pixels: np.ndarray,
    mean: Optional[Sequence[float]] = CIFAR10_MEAN,
    std: Optional[Sequence[float]] = CIFAR10_STD,
    size: int = 32,
) -> np.ndarray:
    """Return pixels as a network takes them.

    Args:
        pixels: uint8 [N, 3, 32, 32].
        mean, std: per channel, of pixels in [0, 1]; None for neither. Default: CIFAR-10's.
        size: 32, or 16 for the mean of each 2x2 pixels: real images at a quarter of the cost.

    Returns:
        float32 [N, 3, size, size].

    Raises:
        UserError: another size.
    """
    if size not in (16, 32):
        raise UserError(f"CIFAR-10 is studied at 32 or 16 pixels, got {size}.")
    images = pixels.astype(np.float64) / 255.0
    if mean is not None:
        images -= np.asarray(mean).reshape(1, -1, 1, 1)
    if std is not None:
        images /= np.asarray(std).reshape(1, -1, 1, 1)
    if size == 16:
        count, channels = images.shape[:2]
        images = images.reshape(count, channels, 16, 2, 16, 2).mean(axis=(3, 5))
    return np.ascontiguousarray(images, np.float32)
