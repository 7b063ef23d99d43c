"""Random erasing and cutout: rectangles of each image are set to 0."""

from __future__ import annotations

import math

import numpy as np

from .rng import uniform

#: Random words per image.
ERASE_WORDS, CUTOUT_WORDS = 5, 2
#: Share of the area, and aspect ratio (height / width), of an erased rectangle (Zhong et al. 2017).
AREAS = (0.02, 1 / 3)
RATIOS = (0.3, 10 / 3)


def random_erasing(images: np.ndarray, words: np.ndarray, probability: float) -> None:
    """Set one random rectangle to 0 in some of the images, in place.

    The area is uniform over `AREAS`, the ratio's logarithm over `RATIOS`, the place over all that
    fit; a side longer than the image is cut to it. 0 is the mean colour after normalisation, and
    black without it.

    Args:
        images: float32 [B, C, H, W].
        words: uint64 [B, 5].
        probability: of erasing, for each image.
    """
    height, width = images.shape[2:]
    low, high = math.log(RATIOS[0]), math.log(RATIOS[1])
    for image, chance in zip(images, uniform(words)):
        if chance[0] >= probability:
            continue
        area = height * width * (AREAS[0] + (AREAS[1] - AREAS[0]) * chance[1])
        ratio = math.exp(low + (high - low) * chance[2])
        tall = max(1, min(round(math.sqrt(area * ratio)), height))
        wide = max(1, min(round(math.sqrt(area / ratio)), width))
        top = int(chance[3] * (height - tall + 1))
        left = int(chance[4] * (width - wide + 1))
        image[:, top : top + tall, left : left + wide] = 0


def cutout(images: np.ndarray, words: np.ndarray, side: int) -> None:
    """Set a square to 0 in every image, in place (DeVries and Taylor 2017).

    Its centre is uniform over the image's pixels, so that a part of it may lie outside.

    Args:
        images: float32 [B, C, H, W].
        words: uint64 [B, 2].
        side: of the square, in pixels.
    """
    height, width = images.shape[2:]
    rows = (uniform(words[:, 0]) * height).astype(int) - side // 2
    columns = (uniform(words[:, 1]) * width).astype(int) - side // 2
    for image, top, left in zip(images, rows, columns):
        image[:, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
