"""TrivialAugment: one random operation of random strength on each image."""

from __future__ import annotations

from typing import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from .rng import uniform

#: Random words per image.
WORDS = 3
#: Strengths go from 0 to this, as in the paper's wide space (Müller and Hutter 2021).
STRONGEST = 30

_Operation = Callable[[Image.Image, float], Image.Image]


def _affine(image: Image.Image, a: float, b: float, c: float, d: float, e: float, f: float):
    """Move pixels: what lands at (x, y) comes from (ax + by + c, dx + ey + f); else black."""
    return image.transform(image.size, Image.Transform.AFFINE, (a, b, c, d, e, f))


def _rotate(image: Image.Image, strength: float) -> Image.Image:
    return image.rotate(135 * strength)


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> _Operation:
    return lambda image, strength: kind(image).enhance(1 + 0.99 * strength)


def _posterize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(image, 8 - round(6 * abs(strength)))


def _solarize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(image, round(255 * (1 - abs(strength))))


#: Name -> operation; its strength goes from -1 to 1. Operations without a sign ignore it.
OPERATIONS: dict[str, _Operation] = {
    "identity": lambda image, _: image,
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "rotate": _rotate,
    "posterize": _posterize,
    "solarize": _solarize,
    "color": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "shear_x": lambda image, s: _affine(image, 1, 0.99 * s, 0, 0, 1, 0),
    "shear_y": lambda image, s: _affine(image, 1, 0, 0, 0.99 * s, 1, 0),
    "translate_x": lambda image, s: _affine(image, 1, 0, _shift(image, s), 0, 1, 0),
    "translate_y": lambda image, s: _affine(image, 1, 0, 0, 0, 1, _shift(image, s)),
}
_TABLE = tuple(OPERATIONS.values())


def _shift(image: Image.Image, strength: float) -> int:
    """Return how far to move: 32 pixels at the most, as in the paper, but no whole image."""
    return round(min(32, 0.75 * image.width) * strength)


def trivial_augment(images: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Apply to each image one of `OPERATIONS`, uniformly chosen, with a strength of 0 to 30.

    Args:
        images: uint8 [B, C, H, W], C being 1 or 3.
        words: uint64 [B, 3]: for operation, strength, sign.

    Returns:
        uint8 [B, C, H, W].
    """
    chances = uniform(words)
    chosen = (chances[:, 0] * len(_TABLE)).astype(int)
    strengths = np.floor(chances[:, 1] * (STRONGEST + 1)) / STRONGEST
    strengths[chances[:, 2] < 0.5] *= -1
    result = np.empty_like(images)
    for image, operation, strength, into in zip(images, chosen, strengths, result):
        pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
        changed = _TABLE[operation](Image.fromarray(pixels), float(strength))
        pixels = np.asarray(changed, np.uint8)
        into[:] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return result
