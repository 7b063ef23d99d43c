"""Image files of any size and mode as the pixels that a network takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from PIL import Image, ImageOps

from ...errors import PATH_LIMIT, DataError, for_display
from ..augment.random_resized_crop import center_crop_box, cut
from .decoding.image_decoder import Decoded, decode, read_content, to_mode
from .decoding.image_metadata import upright
from .decoding.value_range import Extremes, ValueRange, choose_range, describe_range
from .decoding.wide_pixels import WidePixels, may_be_wide
from .file_walk import SUFFIXES, LeftOut, walk


def find_images(paths: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Return the files that are given and the images in folders, in alphabetical order.

    Returns:
        tuple: the files, and for each folder a sentence about what was left out.

    Raises:
        DataError: a path that does not exist, or a folder without images.
    """
    found: list[Path] = []
    notes: list[str] = []
    for given in paths:
        path, name = Path(given), for_display(given, PATH_LIMIT)
        if path.is_dir():
            left_out = LeftOut()
            inside = sorted(walk(path, left_out))
            note = f"left out of '{name}': {left_out.sentence()}." if left_out else ""
            if not inside:
                raise DataError(
                    f"the folder '{name}' holds no images ({', '.join(SUFFIXES)}). {note}".strip()
                )
            notes += [note] if note else []
            found += inside
        elif path.exists() or path.is_symlink():
            found.append(path)
        else:
            raise DataError(f"there is no image '{name}'.")
    return found, notes


def value_range_of(paths: Iterable[Path]) -> tuple[Optional[ValueRange], list[str]]:
    """Choose one value range for images that are read together, as for a data set.

    Returns:
        tuple: the range, None where no image needs one; and what a user should know about it.

    Raises:
        DataError: no single range fits.
    """
    found: dict[Path, Extremes] = {}
    for path in paths:
        try:
            content = read_content(path)
            if may_be_wide(content) and (each := decode(path, content).extremes()) is not None:
                found[path] = each
        except DataError:  # whoever reads the image says so
            continue
    chosen = choose_range(found.values())
    return chosen, describe_range(found, chosen) if chosen is not None else []


def read_image(
    path: Path,
    shape: Sequence[int],
    share: float = 1.0,
    value_range: Optional[Sequence[float]] = None,
) -> np.ndarray:
    """Read an image, turned upright, and scale a square out of its middle to the wanted size.

    Transparent parts become white, as on a page. Of an animation, the first frame is taken.

    Args:
        path: any file that Pillow reads.
        shape: ``[C, H, W]`` wanted; C is 1 (grey) or 3 (RGB).
        share: of the middle part in the shorter side. Default: 1, as much as fits.
        value_range: see `open_image`.

    Returns:
        uint8 ``[C, H, W]``.

    Raises:
        DataError: see `open_image`.
    """
    return fit_image(open_image(path, shape[0], value_range=value_range), shape, share)


def fit_image(image: Image.Image, shape: Sequence[int], share: float = 1.0) -> np.ndarray:
    """Scale a square out of the middle of a decoded image to the wanted size; see `read_image`."""
    channels, height, width = shape
    if height == width:
        return cut(image, center_crop_box(*image.size, share), height)
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def open_image(
    path: Path,
    channels: int = 3,
    least: Optional[int] = None,
    value_range: Optional[Sequence[float]] = None,
) -> Image.Image:
    """Decode an image whole, turned upright, in 8-bit grey or RGB.

    Args:
        path: any file that Pillow reads; its name's suffix does not matter.
        channels: 1 (grey) or 3 (RGB).
        least: where given, a JPEG may be decoded at a half, a quarter or an eighth of its size, as
            long as both sides keep at least this many pixels. That is much faster.
        value_range: black and white of an image of more than 8 bits that does not say its own; see
            `value_range.choose_range`, which chooses it for a data set. Default: it is chosen for
            this file alone.

    Raises:
        DataError: the file is no image, is corrupt, or is so large that it may be a trap.
    """
    return image_from_bytes(path, read_content(path), channels, least, value_range)


def image_from_bytes(
    path: Path,
    content: bytes,
    channels: int = 3,
    least: Optional[int] = None,
    value_range: Optional[Sequence[float]] = None,
) -> Image.Image:
    """Decode the bytes of an image file; see `open_image`.

    Args:
        path: for the sentence of an error.
        content: the file.
        channels, least, value_range: see `open_image`.

    Raises:
        DataError: see `open_image`.
    """
    decoded = decode(path, content, channels, least)
    if value_range is None and (alone := decoded.extremes()) is not None:
        value_range = choose_range([alone])
    return to_image(path, decoded, channels, value_range)


def to_image(
    path: Path, decoded: Decoded, channels: int, value_range: Optional[Sequence[float]]
) -> Image.Image:
    """Turn a file's pixels upright and into 8-bit grey or RGB.

    Raises:
        DataError: the pixels need a value range, and there is none.
    """
    pixels = decoded.pixels
    if isinstance(pixels, WidePixels):
        if pixels.own is None and value_range is None:
            raise DataError(
                f"'{for_display(path, PATH_LIMIT)}' has more than 8 bits and does not say which "
                "values are black and white: give value_range=(LOW, HIGH)."
            )
        pixels = pixels.to_image(pixels.own or ValueRange(*value_range))
    return upright(to_mode(pixels, channels), decoded.orientation)
