"""Image files of any size and mode as the pixels that a network takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError

#: What a folder is searched for.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


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


def read_image(path: Path, shape: Sequence[int]) -> np.ndarray:
    """Read an image, turned upright, scaled to cover the wanted size, and cut out of its middle.

    Transparent parts become white, as on a page. Of an animation, the first picture is taken.

    Args:
        path: any file that Pillow reads.
        shape: ``[C, H, W]`` wanted; C is 1 (grey) or 3 (RGB).

    Returns:
        uint8 ``[C, H, W]``.

    Raises:
        DataError: the file is no image, is damaged, or is so large that it may be a trap.
    """
    channels, height, width = shape
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            image = _flatten(image).convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype=np.uint8)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise DataError(f"'{path}' is no image that can be read.") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        reason = (
            getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else ""
        )
        raise DataError(f"'{path}' cannot be read as an image: {reason or 'damaged'}.") from None
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


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
