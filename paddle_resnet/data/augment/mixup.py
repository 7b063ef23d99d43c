"""Mixup and cutmix: two images in one, and how much of each."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .rng import MIX, beta, uniform, words


class MixedBatch(NamedTuple):
    """A batch of mixed images. In each, ``share`` of the answer is ``labels``, the rest ``others``.

    One label would not do, and a full matrix of class shares would hide which was which.
    """

    images: np.ndarray  # float32 [B, C, H, W]
    labels: np.ndarray  # int64 [B]
    others: np.ndarray  # int64 [B]
    share: np.ndarray  # float32 [B]


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

    All images of a batch get the same share, as in the papers. Where both kinds are on, each batch
    is of one kind, with equal probability.

    Args:
        images: float32 [B, C, H, W], in random order; changed in place.
        labels: int64 [B].
        mixup: alpha of Zhang et al. 2018: ``x = share * x + (1 - share) * other``, with the share
            from Beta(alpha, alpha). 0 is off.
        cutmix: alpha of Yun et al. 2019: a rectangle comes from the other image. Its area is 1
            minus a share from Beta(alpha, alpha) before the border cuts it, and the labels' share
            is the area that is left. 0 is off.
        seed, epoch, batch: decide all chances.
    """
    coin, *place = uniform(words(seed, epoch, MIX, batch, 1, 3)[0])
    cut = cutmix > 0 and (mixup == 0 or coin < 0.5)
    share = beta(cutmix if cut else mixup, seed, epoch, MIX, batch)
    if cut:
        height, width = images.shape[2:]
        top, bottom = _span(height, share, place[0])
        left, right = _span(width, share, place[1])
        inside = images[:, :, top:bottom, left:right]
        inside[:] = inside[::-1].copy()
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        other = images[::-1] * np.float32(1 - share)
        images *= np.float32(share)
        images += other
    shares = np.full(len(labels), share, np.float32)
    return MixedBatch(images, labels, labels[::-1].copy(), shares)


def _span(length: int, share: float, chance: float) -> tuple[int, int]:
    """Return where the rectangle begins and ends along one side."""
    size = int(length * math.sqrt(1 - share))
    centre = int(chance * length)
    return max(centre - size // 2, 0), min(centre - size // 2 + size, length)
