"""Mixup and CutMix: two images in one, and the weight of each."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .rng import MIX, MIX_WEIGHT, beta, random_words, uniform


class MixedBatch(NamedTuple):
    """A batch of mixed images: ``lam`` of each one's label is ``labels``, the rest ``labels_b``.

    Both labels are kept: a matrix of soft labels would not show which one is first.
    """

    images: np.ndarray  # float32 [B, C, H, W]
    labels: np.ndarray  # int64 [B]
    labels_b: np.ndarray  # int64 [B]
    lam: np.ndarray  # float32 [B]


def mix(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    mixup: float,
    cutmix: float,
    seed: int,
    epoch: int,
    batch: int,
) -> MixedBatch:
    """Mix each image of a batch with that at the same place from the end; see `MixedBatch`.

    All images of a batch get the same ``lam``, as in the papers. If both kinds are on, each batch
    is of one kind, with equal probability.

    Args:
        images: float32 [B, C, H, W], in random order; changed in place.
        labels: int64 [B].
        mixup: alpha of Zhang et al. 2018: ``x = lam * x + (1 - lam) * other``, with ``lam`` from
            Beta(alpha, alpha). 0 is off.
        cutmix: alpha of Yun et al. 2019: a rectangle comes from the other image. Its area is 1
            minus a draw from Beta(alpha, alpha) before the border cuts it, and ``lam`` is the area
            that is left. 0 is off.
        seed, epoch, batch: decide all chances.
    """
    coin, *place = uniform(random_words(seed, epoch, MIX, batch, 1, 3)[0])
    cut = cutmix > 0 and (mixup == 0 or coin < 0.5)
    lam = beta(cutmix if cut else mixup, seed, epoch, MIX_WEIGHT, batch)
    if cut:
        height, width = images.shape[2:]
        top, bottom = _span(height, lam, place[0])
        left, right = _span(width, lam, place[1])
        inside = images[:, :, top:bottom, left:right]
        inside[:] = inside[::-1].copy()
        lam = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        other = images[::-1] * np.float32(1 - lam)
        images *= np.float32(lam)
        images += other
    return MixedBatch(images, labels, labels[::-1].copy(), np.full(len(labels), lam, np.float32))


def _span(length: int, lam: float, chance: float) -> tuple[int, int]:
    """Return where the rectangle begins and ends along one side."""
    size = int(length * math.sqrt(1 - lam))
    center = int(chance * length)
    return max(center - size // 2, 0), min(center - size // 2 + size, length)
