"""What schemathesis sends where the description of the service says "binary": real images.

Read by schemathesis through SCHEMATHESIS_HOOKS, see `service_schema.py`; needs nothing but it.
"""

import struct
import zlib

import schemathesis
from hypothesis import strategies as st


def png(width, height, grey, value):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    row = b"\0" + bytes([value]) * width * (1 if grey else 3)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    pixels = zlib.compress(row * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


IMAGES = st.builds(png, st.integers(1, 70), st.integers(1, 70), st.booleans(), st.integers(0, 255))
for name in ("image/*", "image/png", "application/octet-stream"):
    schemathesis.openapi.media_type(name, IMAGES)
schemathesis.openapi.format("binary", IMAGES)
