"""Corrupt metadata never decide over valid pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_makers import chunk, noise, png, tiff
from PIL import Image, features

from paddle_resnet.data.folder.image_io import open_image

#: White on the left.
PICTURE = Image.new("RGB", (40, 24))
PICTURE.paste((255, 255, 255), (0, 0, 20, 24))


def ifd(entries, after=b"", order="<"):
    """The TIFF inside an EXIF block: entries of (tag, type, count, four bytes)."""
    table = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        table += struct.pack(order + "HHI", tag, kind, count) + value
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + table + bytes(4) + after


TURNED = (0x112, 3, 1, b"\6\0\0\0")
#: EXIF blocks with something wrong in them, behind a valid orientation of 6.
EXIF = {
    "a signed rational (-1, 0)": ifd([TURNED, (0x11A, 10, 1, struct.pack("<I", 38))])
    + struct.pack("<ii", -1, 0),
    "a rational over 0": ifd([TURNED, (0x11A, 5, 1, struct.pack("<I", 38))])
    + struct.pack("<II", 1, 0),
    "a type that does not exist": ifd([TURNED, (0x11A, 99, 1, bytes(4))]),
    "values outside of the file": ifd([TURNED, (0x132, 2, 20, struct.pack("<I", 9_000_000))]),
    "a count of billions": ifd([TURNED, (0x132, 2, 0xFFFFFFFF, bytes(4))]),
    "a directory that is its own next one": ifd([TURNED])[:-4] + struct.pack("<I", 8),
    "an EXIF directory outside of the file": ifd([TURNED, (0x8769, 4, 1, struct.pack("<I", 9**9))]),
    "a GPS directory that is text": ifd([TURNED, (0x8825, 2, 4, b"abc\0")]),
    "cut in the second entry": ifd([TURNED, (0x11A, 5, 1, bytes(4))])[:28],
}


def is_upright(path):
    """Whether the picture is turned: white on top."""
    pixels = np.asarray(open_image(path)).astype(int)
    assert pixels.shape == (40, 24, 3), pixels.shape
    return pixels[:16].min() > 200 and pixels[24:].max() < 60


def is_as_stored(path):
    pixels = np.asarray(open_image(path)).astype(int)
    assert pixels.shape == (24, 40, 3), pixels.shape
    return pixels[:, :16].min() > 200 and pixels[:, 24:].max() < 60


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", EXIF)
def test_corrupt_exif(tmp_path, name, kind):
    block = EXIF[name]
    file = io.BytesIO()
    PICTURE.save(file, kind, **({"quality": 95} if kind != "PNG" else {}))
    content = file.getvalue()
    if kind == "JPEG":
        body = b"Exif\0\0" + block
        segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        content = content[:2] + segment + content[2:]
    elif kind == "PNG":
        content = content[:33] + chunk(b"eXIf", block) + content[33:]
    else:
        with_exif = io.BytesIO()
        PICTURE.save(with_exif, kind, quality=95, exif=b"Exif\0\0" + block)
        content = with_exif.getvalue()
    (tmp_path / "x").write_bytes(content)
    pixels = np.asarray(open_image(tmp_path / "x"))
    turned = pixels.shape[0] > pixels.shape[1]
    assert is_upright(tmp_path / "x") if turned else is_as_stored(tmp_path / "x")


def test_the_orientation_in_front_of_a_corrupt_field_counts(tmp_path):
    body = b"Exif\0\0" + EXIF["a signed rational (-1, 0)"]
    PICTURE.save(tmp_path / "x.jpg", quality=95, exif=body)
    assert is_upright(tmp_path / "x.jpg")
    content = png(np.asarray(PICTURE), chunk(b"eXIf", body[6:]), huge_text())
    (tmp_path / "x.png").write_bytes(content)
    assert is_upright(tmp_path / "x.png")


def huge_text():
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 * 2**20)))


#: Chunks of a PNG that have nothing to do with its pixels.
CHUNKS = {
    "a large text, compressed": huge_text(),
    "a large text in Unicode": chunk(
        b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(3 * 2**20))
    ),
    "64 MB of texts": b"".join([chunk(b"tEXt", b"a\0" + b"x" * 2**20)] * 70),
    "a large profile": chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(3 * 2**20))),
    "a profile that is none": chunk(b"iCCP", b"name\0\0not compressed"),
    "a text of a method that does not exist": chunk(b"zTXt", b"Comment\0\7abc"),
    "a text with a wrong checksum": chunk(b"tEXt", b"Comment\0hello")[:-1] + b"?",
    "a resolution that is cut": chunk(b"pHYs", b"\0\0"),
    "a gamma that is cut": chunk(b"gAMA", b"\0"),
    "primaries that are cut": chunk(b"cHRM", b"\0\0\0"),
    "an animation control that is cut": chunk(b"acTL", b"\0"),
    "a rendering intent that is empty": chunk(b"sRGB", b""),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_of_a_png_that_pillow_does_not_like(tmp_path, name):
    (tmp_path / "x.png").write_bytes(png(np.asarray(PICTURE), CHUNKS[name]))
    assert is_as_stored(tmp_path / "x.png")
    (tmp_path / "y.png").write_bytes(png(noise(65535), CHUNKS[name]))
    assert np.asarray(open_image(tmp_path / "y.png", 1)).max() == 255


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe2\x00\x20ICC_PROFILE\0\x01\x09" + b"x" * 16,  # the first of nine parts
        b"\xff\xe2\x00\x12MPF\0" + b"II*\0\xff\xff\xff\xff" + b"xxxx",
        b"\xff\xed\x00\x1cPhotoshop 3.0\0" + b"8BIM\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xe1\x00\x30http://ns.adobe.com/xap/1.0/\0<x:xmpmeta <<<<<<",
        b"\xff\xfe\x00\x04\xff\xff",
    ],
)
def test_segments_of_a_jpeg_that_are_corrupt(tmp_path, segment):
    file = io.BytesIO()
    PICTURE.save(file, "JPEG", quality=95)
    content = file.getvalue()
    (tmp_path / "x.jpg").write_bytes(content[:2] + segment + content[2:])
    assert is_as_stored(tmp_path / "x.jpg")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "field",
    [
        (0x8769, "I", [9_000_000]),
        (34675, "s", b"no profile"),
        (700, "s", b"<x:xmpmeta <<<"),
        (282, "I", [0]),
        (270, "s", b"\xff\xfe\xfd\xfc\xfb"),
        (50838, "I", [4_000_000_000]),
    ],
)
def test_fields_of_a_tiff_that_are_corrupt(tmp_path, field):
    pixels = np.asarray(PICTURE)
    (tmp_path / "x.tif").write_bytes(tiff(pixels, fields=[field]))
    assert is_as_stored(tmp_path / "x.tif")
    (tmp_path / "y.tif").write_bytes(tiff(pixels, fields=[field, (274, "H", [6])]))
    assert is_upright(tmp_path / "y.tif")


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "floats"])
def test_a_tiff_is_turned_once(tmp_path, turn, kind):
    """Pillow turns some TIFFs itself; ours are not decoded by it."""
    grey = np.asarray(PICTURE.convert("L"))
    grey = np.where(np.arange(24)[:, None] < 12, grey, grey // 2)
    pixels = {
        "8 bits": grey,
        "16 bits": grey.astype(np.uint16) * 257,
        "floats": (grey / 255).astype(np.float64),
    }[kind]
    (tmp_path / "x.tif").write_bytes(tiff(pixels, fields=[(274, "H", [turn])]))
    turned = {
        1: grey, 2: grey[:, ::-1], 3: grey[::-1, ::-1], 4: grey[::-1],
        5: grey.T, 6: grey.T[:, ::-1], 7: grey.T[::-1, ::-1], 8: grey.T[::-1],
    }[turn]  # fmt: skip
    assert np.abs(np.asarray(open_image(tmp_path / "x.tif", 1)) - turned.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("begin", "what"),
    [
        (b"", "it is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC photo"),
        (b"\xff\x0a\0\0", "a JPEG XL image"),
        (b"<?xml version='1.0'?><svg>", "an SVG drawing"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"%PDF-1.7", "a PDF file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, begin, what):
    from paddle_resnet.errors import DataError

    (tmp_path / "x.jpg").write_bytes(begin)
    with pytest.raises(DataError, match=rf"x\.jpg' is no image that can be read: .*{what}"):
        open_image(tmp_path / "x.jpg")


def test_a_tiff_that_nobody_reads_says_why(tmp_path):
    from paddle_resnet.errors import DataError

    content = tiff(np.zeros((4, 4), np.float64), fields=[(259, "H", [5])])
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(DataError, match="a TIFF of 1 x 64 bits, compression 5, which Pillow"):
        open_image(tmp_path / "x.tif")


def test_lab_becomes_grey_too(tmp_path):
    values = np.zeros((4, 4, 3), np.uint8)
    values[..., 0] = 255  # L of 100 %, a and b of 0: white
    (tmp_path / "x.tif").write_bytes(tiff(values, photometric=8))
    assert np.asarray(open_image(tmp_path / "x.tif", 1)).min() > 245
    assert np.asarray(open_image(tmp_path / "x.tif", 3)).min() > 245


def test_links_to_nothing_and_pipes_are_named(tmp_path):
    import os

    from paddle_resnet.errors import DataError

    (tmp_path / "x.jpg").symlink_to("nowhere/1.jpg")
    with pytest.raises(
        DataError, match=r"x\.jpg' is a link to 'nowhere/1\.jpg', which is not there"
    ):
        open_image(tmp_path / "x.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    with pytest.raises(DataError, match=r"pipe\.jpg' is no file"):
        open_image(tmp_path / "pipe.jpg")


@pytest.mark.skipif(not features.check("webp"), reason="this Pillow reads no WebP")
def test_a_webp_without_its_metadata_is_the_same_picture(tmp_path):
    from paddle_resnet.data.folder.decoding.image_metadata import without_metadata

    for number, more in enumerate([{}, {"lossless": True}, {"exif": b"Exif\0\0" + ifd([TURNED])}]):
        file = io.BytesIO()
        PICTURE.convert("RGBA").save(file, "WEBP", **more)
        bare = without_metadata(file.getvalue())
        assert b"EXIF" not in bare
        one, other = (Image.open(io.BytesIO(c)).convert("RGBA") for c in (file.getvalue(), bare))
        assert np.array_equal(one, other), number
