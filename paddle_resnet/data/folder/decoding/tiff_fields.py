"""Fields of a TIFF's first image, and the pixels of uncompressed ones that Pillow cannot read.

Layout: TIFF 6.0 (Adobe, 1992). EXIF blocks have the same one.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Optional

import numpy as np

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES = 273, 274, 277, 278, 279
PLANAR, PREDICTOR, SAMPLE_FORMAT, SUBSAMPLING = 284, 317, 339, 530
LEAST_VALUE, LARGEST_VALUE, LEAST_SAMPLE, LARGEST_SAMPLE = 280, 281, 340, 341
#: Fields without which the pixels cannot be decoded. All others are metadata.
_PIXELS = {
    *(254, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_OFFSETS, ORIENTATION),
    *(SAMPLES, ROWS, STRIP_BYTES, PLANAR, 292, 293, PREDICTOR, 320, 322, 323, 324, 325),
    *(332, 336, 338, SAMPLE_FORMAT, 347, *range(512, 522), 529, SUBSAMPLING, 531, 532),
}
#: Type to letter of `struct`, of types that are one number each.
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}
_NO_COMPRESSION, _DEFLATE = 1, (8, 32946)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR = 0, 1, 2, 6


def is_tiff(content: bytes) -> bool:
    """Return whether a file begins as a classic TIFF does (BigTIFF is none)."""
    return content[:4] in (b"II*\0", b"MM\0*")


def read_fields(content: bytes) -> dict[int, tuple[Any, ...]]:
    """Return tag to numbers of the first directory, without fields that cannot be read.

    Args:
        content: a TIFF, or the TIFF inside an EXIF block.
    """
    fields: dict[int, tuple[Any, ...]] = {}
    if not is_tiff(content):
        return fields
    order = "<" if content[:2] == b"II" else ">"
    for tag, kind, count, place in _entries(content, order):
        letter = _LETTERS.get(kind)
        if letter is None:
            continue
        size = count * struct.calcsize(letter)
        start = place if size <= 4 else struct.unpack_from(f"{order}I", content, place)[0]
        if 0 < size <= len(content) - start:
            fields[tag] = struct.unpack_from(f"{order}{count}{letter}", content, start)
    return fields


def without_metadata(content: bytes) -> bytes:
    """Return the file with a directory that holds the fields of the pixels alone."""
    order = "<" if content[:2] == b"II" else ">"
    kept = [
        content[place - 8 : place + 4]
        for tag, _, _, place in _entries(content, order)
        if tag in _PIXELS
    ]
    padding = len(content) % 2  # a directory begins at an even place
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    start = struct.pack(f"{order}I", len(content) + padding)
    return content[:4] + start + content[8:] + bytes(padding) + directory


def _entries(content: bytes, order: str) -> list[tuple[int, int, int, int]]:
    """Return tag, type, count and place of the value of each whole entry."""
    found = []
    if len(content) >= 8:
        (start,) = struct.unpack_from(f"{order}I", content, 4)
        if start + 2 <= len(content):
            (number,) = struct.unpack_from(f"{order}H", content, start)
            for place in range(start + 2, start + 2 + 12 * number, 12):
                if place + 12 > len(content):
                    break
                found.append((*struct.unpack_from(f"{order}HHI", content, place), place + 8))
    return found


def read_pixels(content: bytes, most_pixels: int) -> Optional[np.ndarray]:
    """Decode a TIFF of strips that are not compressed, or by deflate, whatever its numbers are.

    Pillow has no mode for float16, float64 and 64-bit integers, and before 12.0 it takes the three
    bytes of an uncompressed YCbCr pixel for four.

    Args:
        content: the file.
        most_pixels: of larger images nothing is decoded.

    Returns:
        ``[H, W]`` or ``[H, W, 3]`` of the file's own numbers; None where it is another kind of
        TIFF, or a torn one.
    """
    fields = read_fields(content)

    def one(tag: int, default: int) -> int:
        return fields.get(tag, (default,))[0]

    width, height, samples = one(WIDTH, 0), one(HEIGHT, 0), one(SAMPLES, 1)
    bits, formats = set(fields.get(BITS, (1,))), set(fields.get(SAMPLE_FORMAT, (1,)))
    kind = {1: "u", 2: "i", 3: "f"}.get(min(formats)) if len(formats) == 1 else None
    plain = one(COMPRESSION, 1)
    if (
        kind is None
        or len(bits) != 1
        or min(bits) not in ((16, 32, 64) if kind == "f" else (8, 16, 32, 64))
        or samples not in (1, 3)
        or (samples == 3 and one(PLANAR, 1) != 1)
        or (plain != _NO_COMPRESSION and plain not in _DEFLATE)
        or one(PREDICTOR, 1) != 1
        or set(fields.get(SUBSAMPLING, (1, 1))) != {1}
        or one(PHOTOMETRIC, 1) not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR)
        or not 0 < width * height <= most_pixels
    ):
        return None
    dtype = np.dtype(f"{'<' if content[:2] == b'II' else '>'}{kind}{min(bits) // 8}")
    wanted = width * height * samples * dtype.itemsize
    pixels = bytearray()
    for start, size in zip(fields.get(STRIP_OFFSETS, ()), fields.get(STRIP_BYTES, ())):
        strip = content[start : start + size]
        if plain in _DEFLATE:
            try:
                strip = zlib.decompressobj().decompress(strip, max(wanted - len(pixels), 1))
            except zlib.error:
                return None
        pixels += strip[: wanted - len(pixels)]
    if len(pixels) < wanted:
        return None
    shape = (height, width) if samples == 1 else (height, width, samples)
    return np.frombuffer(bytes(pixels), dtype).astype(dtype.newbyteorder("=")).reshape(shape)
