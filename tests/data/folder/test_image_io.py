import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from paddle_resnet.data.folder.image_io import find_images, open_image, read_image
from paddle_resnet.errors import DataError

SHAPE = [3, 32, 32]


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]
)
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (500, 7), (31, 64)])
def test_any_mode_and_size(mode, size, tmp_path):
    image = Image.new(mode, size)
    path = tmp_path / ("x.tiff" if mode in ("CMYK", "F", "I", "YCbCr", "I;16") else "x.png")
    if mode == "HSV":
        image = image.convert("RGB")
    image.save(path)
    pixels = read_image(path, SHAPE)
    assert (pixels.shape, pixels.dtype) == ((3, 32, 32), np.uint8)


def test_an_image_of_the_right_size_is_read_as_it_is(tmp_path, sample):
    image = sample.train_images[0]
    path = tmp_path / "x.png"
    Image.fromarray(image.transpose(1, 2, 0)).save(path)
    np.testing.assert_array_equal(read_image(path, SHAPE), image)


def test_the_middle_is_cut_out(tmp_path):
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, 32:64] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", SHAPE).min() == 255


def test_photos_are_turned_upright(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255  # white on top
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    assert read_image(tmp_path / "x.png", SHAPE)[:, :16].max() == 0


def test_transparent_parts_are_white(tmp_path):
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", SHAPE).min() == 255


def test_16_bits_are_scaled_and_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    grey = read_image(tmp_path / "x.png", [1, 32, 32])
    assert grey.shape == (1, 32, 32)
    assert (grey.min(), grey.max()) == (0, 255)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_no_image(content, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png"):
        read_image(path, SHAPE)


def test_a_torn_image(tmp_path, sample):
    path = tmp_path / "x.png"
    Image.fromarray(sample.train_images[0].transpose(1, 2, 0)).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"x\.png"):
        read_image(path, SHAPE)


def test_a_bomb_is_refused(tmp_path):
    Image.new("1", (20000, 20000)).save(tmp_path / "x.png")  # 50 kB that become 1.2 GB
    with pytest.raises(DataError):
        read_image(tmp_path / "x.png", SHAPE)


def test_folders_are_searched(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/2.png", "a/b/1.JPG", "a/notes.txt"):
        (tmp_path / name).write_bytes(b"")
    found, notes = find_images([str(tmp_path / "a"), str(tmp_path / "a" / "notes.txt")])
    assert [path.name for path in found] == ["2.png", "1.JPG", "notes.txt"]
    assert notes == [f"left out of '{tmp_path / 'a'}': 1 file without an image's suffix (1 .txt)."]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        find_images([str(tmp_path / "empty")])
    with pytest.raises(DataError, match="there is no image"):
        find_images([str(tmp_path / "nothing.png")])


def test_postscript_is_not_run(tmp_path, monkeypatch):
    """Pillow would start Ghostscript with what may be anyone's program."""
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    page = tmp_path / "photo.png"
    page.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(DataError, match="it is PostScript, which is a program"):
        open_image(page)
    assert started == []
