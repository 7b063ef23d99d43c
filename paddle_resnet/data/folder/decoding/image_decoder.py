"""The pixels inside an image file, whatever is wrong with the rest of the file."""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple, Optional, Union

import numpy as np
from PIL import Image, UnidentifiedImageError

from ....errors import PATH_LIMIT, DataError, for_display
from .image_metadata import exif_orientation, orientation, without_metadata
from .tiff_fields import (
    BITS,
    COMPRESSION,
    ORIENTATION,
    PHOTOMETRIC,
    YCBCR,
    is_tiff,
    read_fields,
    read_pixels,
)
from .value_range import Extremes
from .wide_pixels import WidePixels, tiff_pixels, wide_pixels

#: An image of more is not decoded: as RGB it would fill 270 MB. Pillow warns from there on.
MAX_PIXELS = 89_000_000
#: More than that many pixels of 32 bits need, in a file that is not compressed.
MAX_BYTES = 512 * 2**20
#: Kinds of images that nobody can read without another library: begin of the file, name.
_UNREADABLE = (
    (re.compile(rb"....ftyp(hei[cxs]|hev[cx]|mif1|msf1)", re.DOTALL), "a HEIC photo"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "an AVIF image"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL image"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|svg)"), "an SVG drawing or another XML file"),
    (re.compile(rb".{128}DICM", re.DOTALL), "a DICOM file"),
    (re.compile(rb"%PDF"), "a PDF file"),
    (re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE), "a web page"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS, without the image itself"),
)


class Decoded(NamedTuple):
    """An image file's pixels before they are turned upright, and its EXIF orientation."""

    #: 8-bit grey or RGB, or values of more than 8 bits.
    pixels: Union[Image.Image, WidePixels]
    orientation: int

    def extremes(self) -> Optional[Extremes]:
        """Return what the choice of a data set's value range needs; None where it needs nothing."""
        return self.pixels.extremes() if isinstance(self.pixels, WidePixels) else None


def read_content(path: Path) -> bytes:
    """Return the whole of a file.

    Decoders read from memory: there a length that lies inside the file cannot ask for gigabytes.

    Raises:
        DataError: there is no such file, it cannot be read, or it is too large for an image.
    """
    name = for_display(path, PATH_LIMIT)
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):  # such as /dev/zero, which has no end, or a pipe
            raise DataError(f"'{name}' is no file.")
        if facts.st_size > MAX_BYTES:
            raise DataError(
                f"'{name}' is larger than {MAX_BYTES >> 20} MB: too large for an image."
            )
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if os.path.islink(path):
            goal = for_display(os.readlink(path), PATH_LIMIT)
            raise DataError(f"'{name}' is a link to '{goal}', which is not there.") from None
        reason = error.strerror or error
        raise DataError(f"'{name}' cannot be read as an image: {reason}.") from None


def decode(path: Path, content: bytes, channels: int = 3, least: Optional[int] = None) -> Decoded:
    """Decode an image file; corrupt metadata are left out.

    Args:
        path: for the sentence of an error.
        content: the file.
        channels, least: see `image_io.open_image`.

    Raises:
        DataError: it is no image, is corrupt, or is so large that it may be a trap.
    """
    name = for_display(path, PATH_LIMIT)
    try:
        return _decode(name, content, channels, least)
    except DataError:
        raise
    # A corrupt file can raise nearly anything, from struct.error to MemoryError.
    except Exception as first:
        error = first
    try:
        return _decode_another_way(name, content, channels, least)
    except DataError:
        raise
    except Exception:  # the file's own fault is what counts
        raise DataError(_sentence(name, content, error)) from None


def _decode(name: str, content: bytes, channels: int, least: Optional[int]) -> Decoded:
    with Image.open(io.BytesIO(content)) as image:
        if image.format == "EPS":  # Pillow would run it by Ghostscript
            raise DataError(
                f"'{name}' is no image that can be read: it is PostScript, which is a program."
            )
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"'{name}' claims {image.width} x {image.height} pixels, "
                f"more than {MAX_PIXELS // 10**6} million: too many to be decoded."
            )
        found = wide_pixels(content, image, MAX_PIXELS)
        if found is None:
            found = _ycbcr_of_tiff(content)
        if found is None:
            if least is not None:
                image.draft("L" if channels == 1 else "RGB", (least, least))
            image.load()
            found = image
        if isinstance(found, Image.Image):
            found = to_mode(found, channels)  # here, since some modes cannot become RGB
        return Decoded(found, orientation(image))


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Return an image in 8-bit grey (1) or RGB (3), its transparent parts on a white page."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode == "LAB":  # which becomes RGB alone
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def _decode_another_way(name: str, content: bytes, channels: int, least: Optional[int]) -> Decoded:
    """Decode what Pillow cannot read as it is: a kind of TIFF, or with its metadata left out."""
    if is_tiff(content):
        found = tiff_pixels(content, None, MAX_PIXELS)
        if found is not None:
            return Decoded(found, read_fields(content).get(ORIENTATION, (1,))[0])
    decoded = _decode(name, without_metadata(content), channels, least)
    # Pillow turns a TIFF by itself.
    turn = decoded.orientation if is_tiff(content) else exif_orientation(content)
    return decoded._replace(orientation=turn)


def _ycbcr_of_tiff(content: bytes) -> Optional[Image.Image]:
    """Decode an uncompressed YCbCr TIFF; Pillow before 12 reads 4 bytes a pixel in place of 3."""
    if is_tiff(content) and read_fields(content).get(PHOTOMETRIC) == (YCBCR,):
        pixels = read_pixels(content, MAX_PIXELS)
        if pixels is not None and pixels.dtype == np.uint8 and pixels.ndim == 3:
            return Image.frombytes("YCbCr", pixels.shape[1::-1], pixels.tobytes())
    return None


def _sentence(name: str, content: bytes, error: Exception) -> str:
    if not content:
        return f"'{name}' is no image that can be read: it is empty."
    for begin, kind in _UNREADABLE:
        if begin.match(content):
            return f"'{name}' is no image that can be read: it is {kind}."
    if is_tiff(content) and isinstance(error, UnidentifiedImageError):
        fields = read_fields(content)
        bits, packed = fields.get(BITS, (1,)), fields.get(COMPRESSION, (1,))[0]
        return (
            f"'{name}' is no image that can be read: it is a TIFF of {len(bits)} x {bits[0]} bits, "
            f"compression {packed}, which Pillow does not know."
        )
    if isinstance(error, (UnidentifiedImageError, Image.DecompressionBombError)):
        return f"'{name}' is no image that can be read."
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["corrupt"])[0]
    return f"'{name}' cannot be read as an image: {for_display(reason, 200)}."
