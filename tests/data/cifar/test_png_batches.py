import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from paddle_resnet.data.cifar import png_batches
from paddle_resnet.errors import DataError


def png(images):
    rows = images.transpose(0, 2, 3, 1).reshape(len(images), 1024, 3)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rows)).save(file, "PNG")
    return file.getvalue()


def test_images_survive_the_way(sample):
    images = sample.test_images[:20]
    read = png_batches.read_images(png(images))
    assert np.array_equal(read, images)
    assert read.flags.c_contiguous


def test_a_truncated_png_is_refused(sample):
    content = png(sample.test_images[:20])
    for length in (0, 10, 40, len(content) // 2, len(content) - 30):
        with pytest.raises(DataError, match="not a whole RGB PNG"):
            png_batches.read_images(content[:length])


def test_a_png_that_claims_an_absurd_size_is_refused_undecoded():
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 1024, 2_000_000_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(DataError, match="not a whole RGB PNG"):
        png_batches.read_images(bomb)


def test_other_pictures_are_refused():
    for mode, size, form in (
        ("L", (1024, 2), "PNG"),
        ("RGB", (32, 32), "PNG"),
        ("RGB", (1024, 2), "BMP"),
    ):
        file = io.BytesIO()
        Image.new(mode, size).save(file, form)
        with pytest.raises(DataError, match="not a whole RGB PNG"):
            png_batches.read_images(file.getvalue())


def test_labels():
    labels = png_batches.read_labels(b"[6,9,0]")
    assert labels.tolist() == [6, 9, 0]
    assert labels.dtype == np.uint8


@pytest.mark.parametrize(
    "content", [b"", b"[1", b"3", b"{}x", b"[10]", b"[1.0]", b"[true]", b"\xff", b"[" * 100_000]
)
def test_other_labels_are_refused(content):
    with pytest.raises(DataError, match="not a JSON list of labels"):
        png_batches.read_labels(content)
