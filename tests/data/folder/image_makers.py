"""Image files made by hand: Pillow cannot write them, or not in this way."""

import struct
import zlib

import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"
_KINDS = {"u": 1, "i": 2, "f": 3}


def chunk(name, body):
    """A chunk of a PNG."""
    crc = zlib.crc32(name + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + name + body + crc


def png(pixels, *more):
    """A PNG of uint8 or uint16 [H, W(, 1 to 4)]; ``more`` are chunks in front of the pixels."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    bits = 8 * pixels.dtype.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return PNG + header + b"".join(more) + body


def tiff(pixels, *, order="<", bits=None, photometric=None, deflate=False, strips=1, fields=()):
    """A TIFF of [H, W] or [H, W, 3] in strips.

    ``bits``: 12 packs grey values into 12 bits. ``fields``: more of (tag, type letter, values).
    """
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    if photometric is None:
        photometric = 1 if samples == 1 else 2
    rows = -(-height // strips)
    parts = []
    for first in range(0, height, rows):
        part = pixels[first : first + rows]
        if bits == 12:
            line = [f"{int(v):012b}" for v in part.ravel()]
            text = "".join(line)
            data = int(text + "0" * (-len(text) % 8), 2).to_bytes(-(-len(text) // 8), "big")
        else:
            data = part.astype(pixels.dtype.newbyteorder(order)).tobytes()
        parts.append(zlib.compress(data) if deflate else data)
    starts = [8 + sum(map(len, parts[:n])) for n in range(len(parts))]
    entries = [
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [bits or 8 * pixels.dtype.itemsize] * samples),
        (259, "H", [8 if deflate else 1]),
        (262, "H", [photometric]),
        (273, "I", starts),
        (277, "H", [samples]),
        (278, "I", [rows]),
        (279, "I", [len(part) for part in parts]),
        (339, "H", [_KINDS[pixels.dtype.kind]] * samples),
        *fields,
    ]
    entries = sorted({entry[0]: entry for entry in entries}.values())
    data = b"".join(parts)
    directory = 8 + len(data) + len(data) % 2
    beyond = directory + 2 + 12 * len(entries) + 4
    codes = {"H": 3, "I": 4, "h": 8, "f": 11, "d": 12, "s": 2}
    table, extra = struct.pack(order + "H", len(entries)), b""
    for tag, letter, values in entries:
        body = values if letter == "s" else struct.pack(f"{order}{len(values)}{letter}", *values)
        table += struct.pack(order + "HHI", tag, codes[letter], len(values))
        if len(body) > 4:
            table += struct.pack(order + "I", beyond + len(extra))
            extra += body + bytes(len(body) % 2)
        else:
            table += body.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", directory)
    return head + data + bytes(len(data) % 2) + table + bytes(4) + extra


def pnm(pixels, maxval):
    """A binary PGM or PPM of 16 bits."""
    kind = 5 if pixels.ndim == 2 else 6
    head = f"P{kind}\n# a comment\n{pixels.shape[1]} {pixels.shape[0]}\n{maxval}\n".encode()
    return head + pixels.astype(">u2").tobytes()


def noise(most, shape=(20, 24), dtype=np.uint16, seed=0):
    """Values from 0 to ``most``, both included."""
    values = np.random.RandomState(seed).randint(0, int(most) + 1, shape)
    values.flat[:2] = 0, most
    return values.astype(dtype)
