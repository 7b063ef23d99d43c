"""Cut a box out of an image and scale it to the size that the network takes."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

#: Aspect ratios (width / height) of random crops, as in GoogLeNet (Szegedy et al. 2014) and since.
RATIOS = (3 / 4, 4 / 3)
#: Random words per image.
WORDS = 4

Box = tuple[float, float, float, float]


def center_crop_box(width: int, height: int, share: float = 1.0) -> Box:
    """Return the square in the middle, ``share`` of the shorter side: left, top, right, bottom.

    Scaling it to S x S equals scaling the image's shorter side to ``S / share`` and cutting the
    middle S x S out, but computes only the pixels that are wanted. With 0.875 that is the usual
    "resize 256, crop 224".
    """
    side = min(width, height) * share
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_crop_box(width: int, height: int, chance: np.ndarray, least: float) -> Box:
    """Return a box of random area, aspect ratio and place: left, top, right, bottom.

    The area is uniform between ``least`` and 1 of the image's, the logarithm of the aspect ratio
    is uniform over `RATIOS`. A box that does not fit keeps its ratio and is
    reduced; drawing again, as others do, has no bound.

    Args:
        width, height: of the image, in pixels.
        chance: float64 [4], from 0 to 1: for area, ratio, column, row.
        least: smallest share of the area, above 0, at most 1.
    """
    area = width * height * (least + (1 - least) * chance[0])
    low, high = math.log(RATIOS[0]), math.log(RATIOS[1])
    ratio = math.exp(low + (high - low) * chance[1])
    wide, tall = math.sqrt(area * ratio), math.sqrt(area / ratio)
    shrink = min(1.0, width / wide, height / tall)
    wide, tall = wide * shrink, tall * shrink
    left, top = (width - wide) * chance[2], (height - tall) * chance[3]
    # Rounding must not exceed the image: Pillow refuses such a box.
    return max(left, 0.0), max(top, 0.0), min(left + wide, width), min(top + tall, height)


def cut(image: Image.Image, box: Box, size: int) -> np.ndarray:
    """Scale a box of an image to ``size`` x ``size``, smoothly: uint8 [C, size, size]."""
    if image.size != (size, size) or box != (0, 0, size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(image, np.uint8)
    return pixels.reshape(size, size, -1).transpose(2, 0, 1)
