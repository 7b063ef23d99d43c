"""Pixels of more than 8 bits: 16-bit and 32-bit integers and floats, grey or RGB.

Pillow reads 16-bit colours as 8 bits, the upper byte of each value. The lower bytes come from a
second decoding with the other byte order.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image

from .tiff_fields import (
    BITS,
    LARGEST_SAMPLE,
    LARGEST_VALUE,
    LEAST_SAMPLE,
    LEAST_VALUE,
    PHOTOMETRIC,
    WHITE_IS_ZERO,
    is_tiff,
    read_fields,
    read_pixels,
)
from .value_range import Extremes, ValueRange, extremes

_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_COLORS = re.compile(r"(RGB|RGBA|RGBX);16([BLN])")
_PNM = re.compile(rb"P([2356])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_FULL = ValueRange(0.0, 65535.0)


class WidePixels(NamedTuple):
    """An image of more than 8 bits a value."""

    #: Integers or floats, [H, W] or [H, W, 3].
    values: np.ndarray
    #: The range that the file itself says; None where it does not.
    own: Optional[ValueRange] = None
    #: Extremes that its tags state, of the pixels or of a sensor.
    stated: Optional[ValueRange] = None
    #: uint8 [H, W], 0 where it is transparent.
    alpha: Optional[np.ndarray] = None
    #: Whether the largest value is black.
    inverted: bool = False

    def extremes(self) -> Optional[Extremes]:
        """Return what the choice of a data set's range needs; None if the file says its own."""
        if self.own is not None:
            return None
        found = extremes(self.values)
        if self.stated is None:
            return found
        low, high = min(found.low, self.stated.low), max(found.high, self.stated.high)
        return Extremes(low, high, found.whole, stated=(low, high) == tuple(self.stated))

    def to_image(self, value_range: ValueRange) -> Image.Image:
        """Return 8-bit grey or RGB; transparent parts become white."""
        pixels = value_range.to_bytes(self.values)
        if self.inverted:
            pixels = 255 - pixels
        image = Image.fromarray(pixels)
        if self.alpha is None:
            return image
        page = Image.new(image.mode, image.size, "white")
        page.paste(image, mask=Image.fromarray(self.alpha))
        return page


def may_be_wide(content: bytes) -> bool:
    """Return False for files that surely have 8 bits, so that these need not be decoded twice."""
    if content.startswith(b"\x89PNG"):
        return content[24:25] == b"\x10"
    return not content.startswith((b"\xff\xd8", b"GIF8", b"BM", b"RIFF"))


def wide_pixels(content: bytes, image: Image.Image, most_pixels: int) -> Optional[WidePixels]:
    """Return an image's values where they have more than 8 bits, else None.

    Args:
        content: the file.
        image: the same, opened by Pillow and not yet decoded.
        most_pixels: of larger images nothing is decoded.
    """
    if is_tiff(content):
        found = tiff_pixels(content, image, most_pixels)
    elif _PNM.match(content):
        found = _pnm_pixels(content, image)
    elif content.startswith(b"\x89PNG"):
        found = _png_pixels(content, image)
    else:
        found = _of_pillow(content, image)
        if found is not None and image.format == "JPEG2000":
            found = found._replace(own=_precision(content))
    return found


def tiff_pixels(
    content: bytes, image: Optional[Image.Image], most_pixels: int
) -> Optional[WidePixels]:
    """Return a TIFF's values; ``image`` is None where Pillow cannot open it."""
    fields = read_fields(content)
    bits = max(fields.get(BITS, (1,)))
    if bits <= 8:
        return None
    values = read_pixels(content, most_pixels)
    if values is not None:
        found = WidePixels(values)
    elif image is not None and (opened := _of_pillow(content, image)) is not None:
        found = opened
    else:
        return None
    for least, largest in ((LEAST_SAMPLE, LARGEST_SAMPLE), (LEAST_VALUE, LARGEST_VALUE)):
        if largest in fields and found.stated is None:
            low, high = min(fields.get(least, (0,))), max(fields[largest])
            if low < high:
                found = found._replace(stated=ValueRange(float(low), float(high)))
    return found._replace(
        own=ValueRange(0.0, 2.0**bits - 1) if bits < 16 else None,
        inverted=fields.get(PHOTOMETRIC, (1,))[0] == WHITE_IS_ZERO,
    )


def _pnm_pixels(content: bytes, image: Image.Image) -> Optional[WidePixels]:
    """Return those of a PGM or PPM. Pillow scales some to 16 bits, and 16-bit colours to 8 bits."""
    header = _PNM.match(content)
    kind, width, height, most = (int(group) for group in header.groups())
    if not 255 < most < 65536:
        return None
    if kind in (2, 3):  # numbers as text, scaled by Pillow
        found = _of_pillow(content, image)
        return None if found is None else found._replace(own=None if most == 65535 else _FULL)
    shape = (height, width) if kind == 5 else (height, width, 3)
    count = int(np.prod(shape))
    if len(content) - header.end() < 2 * count:
        raise ValueError("image file is truncated")
    values = np.frombuffer(content, ">u2", count, header.end()).astype(np.uint16).reshape(shape)
    # A maxval of all 16 bits is what writers of any 16-bit array put there.
    return WidePixels(values, own=None if most == 65535 else ValueRange(0.0, float(most)))


def _png_pixels(content: bytes, image: Image.Image) -> Optional[WidePixels]:
    if content[24:25] != b"\x10":
        return None
    alpha = None
    if content[25:26] == b"\x04":  # grey and alpha, which Pillow has no 16-bit mode for
        # Read as RGBA of 8 bits, whose pixels are as many bytes.
        header = content[12:24] + b"\x08\x06" + content[26:29]
        checksum = struct.pack(">I", zlib.crc32(header))
        halves = np.asarray(Image.open(io.BytesIO(content[:12] + header + checksum + content[33:])))
        values = halves[..., 0].astype(np.uint16) << 8 | halves[..., 1]
        alpha = halves[..., 2].copy()
    else:
        found = _of_pillow(content, image)
        if found is None:
            return None
        values, alpha = found.values.astype(np.uint16), found.alpha
    clear = image.info.get("transparency")
    if clear is not None and alpha is None:
        same = values == np.array(clear, np.uint16)
        alpha = np.where(same if same.ndim == 2 else same.all(-1), 0, 255).astype(np.uint8)
    found = WidePixels(values, alpha=alpha)
    bits = max(_significant_bits(content), default=16)
    if bits < 16:
        # By the standard the values are spread over all 16 bits; many writers do not do so.
        narrow = ValueRange(0.0, 2.0**bits - 1)
        found = found._replace(stated=narrow if values.max() <= narrow.high else _FULL)
    return found


def _significant_bits(content: bytes) -> bytes:
    """Return the body of a PNG's sBIT chunk, which stands in front of the pixels."""
    head = content[: content.find(b"IDAT")]
    place = head.find(b"sBIT")
    return (
        head[place + 4 : place + 4 + int.from_bytes(head[place - 4 : place], "big")]
        if place > 0
        else b""
    )


def _precision(content: bytes) -> Optional[ValueRange]:
    """Return the range of a JPEG 2000 of less than 16 bits, which Pillow shifts up to 16."""
    place = content.find(b"\xff\x4f\xff\x51")
    bits = (content[place + 42] & 0x7F) + 1 if 0 <= place < len(content) - 42 else 16
    return ValueRange(0.0, float((2**bits - 1) << (16 - bits))) if 8 < bits < 16 else None


def _of_pillow(content: bytes, image: Image.Image) -> Optional[WidePixels]:
    """Decode by Pillow; None where an image has 8 bits, or Pillow cannot give more."""
    if image.mode.startswith("I;16"):
        return WidePixels(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        return WidePixels(np.array(image))
    colors = _COLORS.fullmatch(_raw_mode(image))
    if colors is None:
        return None
    again = Image.open(io.BytesIO(content))
    other = f"{colors[1]};16{_OTHER_ORDER[colors[2]]}"
    again.tile = [_with_raw_mode(tile, other) for tile in again.tile]
    values = np.asarray(image).astype(np.uint16) << 8 | np.asarray(again)
    alpha = (values[..., 3] >> 8).astype(np.uint8) if values.shape[2] == 4 else None
    return WidePixels(np.ascontiguousarray(values[..., :3]), alpha=alpha)


def _raw_mode(image: Image.Image) -> str:
    """Return how a file's bytes are laid out, in Pillow's words; nothing where it does not say."""
    if not image.tile:
        return ""
    arguments = image.tile[0][3]
    return str(arguments if isinstance(arguments, str) else (arguments or ("",))[0])


def _with_raw_mode(tile: tuple, mode: str) -> tuple:
    arguments = tile[3]
    changed = mode if isinstance(arguments, str) else (mode, *arguments[1:])
    return tile._replace(args=changed) if hasattr(tile, "_replace") else (*tile[:3], changed)
