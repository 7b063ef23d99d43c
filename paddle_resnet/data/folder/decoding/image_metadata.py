"""What an image file holds beside its pixels: EXIF, XMP, ICC profiles, texts.

None of it decides whether the pixels can be read: a file whose metadata are corrupt is read again
without them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from .tiff_fields import ORIENTATION, is_tiff, read_fields
from .tiff_fields import without_metadata as tiff_without_metadata

#: EXIF orientation to what turns the image upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG = b"\x89PNG\r\n\x1a\n"
#: Chunks that PNG pixels are made of.
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_WEBP_METADATA = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a decoded image as its EXIF orientation (1 to 8) says; others leave it as it is."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """Return what Pillow finds in EXIF or XMP; 1 where there is nothing, or nothing valid."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # corrupt metadata can raise nearly anything
        return 1
    return found if isinstance(found, int) else 1


def exif_orientation(content: bytes) -> int:
    """Return the orientation in the EXIF block of a JPEG, PNG or WebP file, else 1.

    It reads one field of the first directory, so it works where the rest is corrupt.
    """
    for name, block in _blocks(content):
        if name in (b"\xe1", b"eXIf", b"EXIF"):
            block = block[6:] if block.startswith(b"Exif\0\0") else block
            values = read_fields(block).get(ORIENTATION, ())
            if values:
                return int(values[0])
    return 1


def without_metadata(content: bytes) -> bytes:
    """Return an image file with its pixels alone; of an unknown kind, as it is."""
    if is_tiff(content):
        return tiff_without_metadata(content)
    if content.startswith(_PNG):
        kept = [
            struct.pack(">I", len(body)) + name + body + tail
            for name, body, tail in _png_chunks(content)
            if name in _PNG_PIXELS
        ]
        return _PNG + b"".join(kept)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_pixels(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp_pixels(content)
    return content


def _blocks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of what a file is made of, as far as it is whole."""
    if content.startswith(_PNG):
        for name, body, _ in _png_chunks(content):
            yield name, body
    elif content.startswith(b"\xff\xd8"):
        for name, start, end in _jpeg_segments(content):
            yield name, content[start + 4 : end]
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        yield from _webp_chunks(content)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield name, body and checksum of each chunk."""
    place = len(_PNG)
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        end = place + 8 + size
        yield name, content[place + 8 : end], content[end : end + 4]
        place = end + 4


def _jpeg_segments(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield marker, begin and end of the segments in front of the image's data."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1 : place + 2]
        if marker == b"\xff":  # fill bytes
            place += 1
            continue
        if marker == b"\xda":
            return
        end = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
        yield marker, place, end
        place = end


def _jpeg_pixels(content: bytes) -> bytes:
    kept, end = [content[:2]], 2
    for marker, start, end in _jpeg_segments(content):
        # All application data but JFIF (E0) and Adobe's (EE), which says what the colours are.
        is_metadata = marker == b"\xfe" or (0xE1 <= marker[0] <= 0xEF and marker != b"\xee")
        if not is_metadata:
            kept.append(content[start:end])
    return b"".join([*kept, content[end:]])


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        yield name, content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _webp_pixels(content: bytes) -> bytes:
    kept = []
    for name, body in _webp_chunks(content):
        if name == b"VP8X" and body:  # its flags say which metadata follow
            body = bytes([body[0] & ~sum(_WEBP_METADATA.values())]) + body[1:]
        if name not in _WEBP_METADATA:
            kept.append(name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2))
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body
