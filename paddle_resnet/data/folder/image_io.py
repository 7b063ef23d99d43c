"""Image files of any size and mode as the pixels that a network takes."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ...errors import DataError
from ..augment.random_resized_crop import center_crop_box, cut

#: What a folder is searched for.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
#: A picture of more is not decoded: as RGB it would fill 270 MB. Pillow warns from there on.
MAX_PIXELS = 89_000_000
#: More than that many pixels of 32 bits need, in a file that is not compressed.
MAX_BYTES = 512 * 2**20


def find_images(paths: Iterable[str]) -> list[Path]:
    """Return the files that are given, and those with an image's suffix below folders, sorted.

    Raises:
        DataError: a path that does not exist, or a folder without images.
    """
    found: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(
                p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
            if not inside:
                raise DataError(f"the folder '{path}' holds no images ({', '.join(SUFFIXES)}).")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"there is no image '{path}'.")
    return found


def read_image(path: Path, shape: Sequence[int], share: float = 1.0) -> np.ndarray:
    """Read an image, turned upright, and scale a square out of its middle to the wanted size.

    Transparent parts become white, as on a page. Of an animation, the first picture is taken.

    Args:
        path: any file that Pillow reads.
        shape: ``[C, H, W]`` wanted; C is 1 (grey) or 3 (RGB).
        share: of the middle part in the shorter side. Default: 1, as much as fits.

    Returns:
        uint8 ``[C, H, W]``.

    Raises:
        DataError: see `open_image`.
    """
    channels, height, width = shape
    image = open_image(path, channels)
    if height == width:
        return cut(image, center_crop_box(*image.size, share), height)
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def open_image(path: Path, channels: int = 3, least: Optional[int] = None) -> Image.Image:
    """Decode an image whole, turned upright, in 8-bit grey or RGB.

    Args:
        path: any file that Pillow reads; its name's suffix does not matter.
        channels: 1 (grey) or 3 (RGB).
        least: where given, a JPEG may be decoded at a half, a quarter or an eighth of its size, as
            long as both sides keep at least this many pixels. That is much faster.

    Raises:
        DataError: the file is no image, is damaged, or is so large that it may be a trap.
    """
    try:
        # From memory, where a length that lies inside the file cannot ask for gigabytes.
        with Image.open(io.BytesIO(_content(path))) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"'{for_display(path)}' claims {image.width} x {image.height} pixels, "
                    f"more than {MAX_PIXELS // 10**6} million: too many to be decoded."
                )
            if least is not None:
                image.draft("L" if channels == 1 else "RGB", (least, least))
            image = ImageOps.exif_transpose(image)
            return _flatten(image).convert("L" if channels == 1 else "RGB")
    except DataError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise DataError(f"'{for_display(path)}' is no image that can be read.") from None
    # A damaged file can raise nearly anything, from struct.error to MemoryError.
    except Exception as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"'{for_display(path)}' cannot be read as an image: {reason}.") from None


def _content(path: Path) -> bytes:
    with open(path, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):  # such as /dev/zero, which has no end
            raise DataError(f"'{for_display(path)}' is no file.")
        if facts.st_size > MAX_BYTES:
            raise DataError(
                f"'{for_display(path)}' is larger than {MAX_BYTES >> 20} MB: "
                "too large for an image."
            )
        return file.read()


def for_display(path: Union[str, Path]) -> str:
    """Return a path as it can be printed, whatever bytes its name is made of."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # 16-bit and float greys: spread what is there over 8 bits, as viewers do.
        values = np.asarray(image, dtype=np.float64)
        values = np.nan_to_num(values)
        low, high = float(values.min()), float(values.max())
        if image.mode.startswith("I;16") or high > 255 or low < 0:
            low, high = (0.0, 65535.0) if image.mode != "F" and low >= 0 else (low, high)
        else:
            low, high = 0.0, 255.0
        scaled = (values - low) / max(high - low, 1e-12) * 255
        return Image.fromarray(scaled.round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image)
    return image
