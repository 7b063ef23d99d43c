"""Pictures that are meant to harm whoever opens them, by name."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SCRIPT = "document.title='hacked';parent.document.title='hacked'"


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def black_png(width, height):
    """A PNG of one bit a pixel: 50 kB for 400 million pixels."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width + 7) // 8 + 1) * height, 9)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def saved(image, kind, **options):
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


def noise(width, height):
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


def animation():
    """The first frame is red, the second blue."""
    red, blue = (Image.new("RGB", (32, 32), colour) for colour in ("#f00", "#00f"))
    return saved(red, "GIF", save_all=True, append_images=[blue], duration=50, loop=0)


SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" onload="{SCRIPT}">
<script>{SCRIPT}</script><rect width="32" height="32" fill="red"/>
<foreignObject width="9" height="9"><img xmlns="http://www.w3.org/1999/xhtml" src="x"
onerror="{SCRIPT}"/></foreignObject></svg>""".encode()

#: Name: media type, content.
REFUSED = {
    "empty.png": ("image/png", b""),
    "zero.png": ("image/png", black_png(0, 0)),
    "page.png": ("image/png", f"<html><script>{SCRIPT}</script></html>".encode()),
    "script.svg": ("image/svg+xml", SVG),
}
TRUNCATED = {
    "half.png": ("image/png", saved(noise(64, 64), "PNG")[:4000]),
    "half.jpg": ("image/jpeg", saved(noise(64, 64), "JPEG")[:1500]),
}
