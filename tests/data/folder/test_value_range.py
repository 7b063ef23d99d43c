"""Images of more than 8 bits keep their contrast: black and white are those of the data set."""

import io

import numpy as np
import pytest
from image_makers import chunk, noise, png, pnm, tiff
from PIL import Image

from paddle_resnet.data import ImageFiles
from paddle_resnet.data.folder.decoding.value_range import Extremes, choose_range, describe_range
from paddle_resnet.data.folder.folder_report import describe, lines
from paddle_resnet.data.folder.image_io import open_image, value_range_of
from paddle_resnet.data.folder.open_dataset import open_dataset
from paddle_resnet.data.folder.verify_images import verify_images
from paddle_resnet.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))


def saved(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def as_bytes(values, low, high):
    """The 8-bit pixels that values between black and white are, computed with whole numbers."""
    scaled = (values.astype(object) - low) * 255 * 2 / (high - low)
    return ((scaled + 1) // 2).astype(float).clip(0, 255)


GREY, COLOUR = (20, 24), (20, 24, 3)
FLOATS = np.linspace(0, 1, 480, dtype=np.float32).reshape(GREY)
#: Name: (file, its values, black, white).
FILES = {
    "12 bits in a 16-bit PNG": (png(noise(4095)), noise(4095), 0, 4095),
    "10 bits in a 16-bit PNG": (png(noise(1023)), noise(1023), 0, 1023),
    "14 bits in a 16-bit PNG": (png(noise(16383)), noise(16383), 0, 16383),
    "16 bits in a PNG": (png(noise(65535)), noise(65535), 0, 65535),
    "8 bits in a 16-bit PNG": (png(noise(200)), noise(200), 0, 255),
    "12 bits, 16-bit RGB PNG": (png(noise(4095, COLOUR)), noise(4095, COLOUR), 0, 4095),
    "16 bits, RGB PNG": (png(noise(65535, COLOUR)), noise(65535, COLOUR), 0, 65535),
    "12 bits, 16-bit TIFF": (tiff(noise(4095)), noise(4095), 0, 4095),
    "12 bits, 16-bit TIFF, big-endian": (tiff(noise(4095), order=">"), noise(4095), 0, 4095),
    "12 bits, 16-bit TIFF by Pillow, LZW": (
        saved(noise(4095), "TIFF", compression="tiff_lzw"), noise(4095), 0, 4095,
    ),
    "12 bits, 16-bit TIFF, deflate, strips": (
        tiff(noise(4095), deflate=True, strips=3), noise(4095), 0, 4095,
    ),
    "12 bits, RGB TIFF": (tiff(noise(4095, COLOUR)), noise(4095, COLOUR), 0, 4095),
    "12 bits, RGB TIFF, big-endian": (
        tiff(noise(4095, COLOUR), order=">", strips=2), noise(4095, COLOUR), 0, 4095,
    ),
    "12 bits, 16-bit PGM": (pnm(noise(4095), 65535), noise(4095), 0, 4095),
    "12 bits, 16-bit PPM": (pnm(noise(4095, COLOUR), 65535), noise(4095, COLOUR), 0, 4095),
    "32-bit integers up to 200": (tiff(noise(200, dtype=np.uint32)), noise(200), 0, 255),
    "32-bit integers up to 260": (tiff(noise(260, dtype=np.uint32)), noise(260), 0, 1023),
    "32-bit integers up to 3 billion": (
        tiff(noise(3 * 10**9, dtype=np.uint32)), noise(3 * 10**9, dtype=np.uint32), 0, 2**32 - 1,
    ),
    "signed 16 bits, as of a CT": (
        tiff(noise(4095).astype(np.int16) - 1024), noise(4095).astype(int) - 1024, -1024, 3071,
    ),
    "floats from 0 to 1": (tiff(FLOATS), FLOATS, 0, 1),
    "floats by Pillow": (saved(FLOATS, "TIFF"), FLOATS, 0, 1),
    "floats, LZW": (saved(FLOATS, "TIFF", compression="tiff_lzw"), FLOATS, 0, 1),
    "floats of 64 bits": (tiff(FLOATS.astype(np.float64)), FLOATS, 0, 1),
    "floats of 16 bits": (tiff(FLOATS.astype(np.float16)), FLOATS.astype(np.float16), 0, 1),
    "floats from -1 to 1": (tiff(FLOATS * 2 - 1), FLOATS * 2 - 1, -1, 1),
    "floats from 0 to 255": (tiff(FLOATS * 255), FLOATS * 255, 0, 255),
    "floats of 12 bits": (tiff(noise(4095).astype(np.float32)), noise(4095), 0, 4095),
    "floats from -50 to 3000": (tiff(FLOATS * 3050 - 50), FLOATS * 3050 - 50, -50, 3000),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_does_not_say_its_range_has_that_of_its_values(tmp_path, name):
    content, values, low, high = FILES[name]
    (tmp_path / "x").write_bytes(content)
    got = np.asarray(open_image(tmp_path / "x", 3 if values.ndim == 3 else 1)).astype(float)
    assert np.abs(got - as_bytes(values.astype(float), low, high)).max() <= 1
    assert got.max() >= 64  # nothing is black any more


#: Files that say what white is, with values that alone would say another: name: (file, white).
STATED = {
    "TIFF of 12 bits": (tiff(noise(900), bits=12), 4095),
    "PGM, maxval 4095": (pnm(noise(900), 4095), 4095),
    "PGM of text, maxval 4095": (
        b"P2\n24 20\n4095\n" + " ".join(map(str, noise(900).ravel())).encode(), 4095,
    ),
    "PPM, maxval 1000": (pnm(noise(900, COLOUR), 1000), 1000),
    "TIFF, SMaxSampleValue": (tiff(noise(900), fields=[(341, "H", [4095])]), 4095),
    "TIFF, SMinSampleValue and SMaxSampleValue": (
        tiff(noise(900), fields=[(340, "H", [0]), (341, "H", [2000])]), 2000,
    ),
    "TIFF, MaxSampleValue": (tiff(noise(900), fields=[(281, "H", [4095])]), 4095),
    "TIFF of floats, SMaxSampleValue": (
        tiff(noise(900).astype(np.float32), fields=[(341, "f", [1500.0])]), 1500,
    ),
    "PNG, sBIT, not shifted": (png(noise(900), chunk(b"sBIT", b"\x0c")), 4095),
    "PNG, sBIT, shifted": (png(noise(900) << 4, chunk(b"sBIT", b"\x0c")), 65535),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_a_file_that_says_its_range_has_that(tmp_path, name):
    content, white = STATED[name]
    (tmp_path / "x").write_bytes(content)
    values = noise(900, COLOUR if "PPM" in name else GREY).astype(float)
    values *= 16 if "shifted" in name and "not" not in name else 1
    got = np.asarray(open_image(tmp_path / "x", 3 if "PPM" in name else 1)).astype(float)
    assert np.abs(got - as_bytes(values, 0, white)).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_white_is_zero(tmp_path, order):
    (tmp_path / "x").write_bytes(tiff(noise(4095), order=order, photometric=0))
    got = np.asarray(open_image(tmp_path / "x", 1)).astype(float)
    assert np.abs(255 - got - as_bytes(noise(4095), 0, 4095)).max() <= 1


def test_wide_pixels_may_be_transparent(tmp_path):
    values = noise(65535, (*GREY, 4))
    values[..., 3] = np.where(np.arange(24) < 12, 0, 65535)
    grey = values[..., [0, 3]]
    clear = np.full(GREY, 4095, np.uint16)
    clear[:, 12:] = 100
    contents = {
        "rgba": (png(values), values[..., :3]),
        "grey and alpha": (png(grey), grey[..., 0]),
        "grey, tRNS": (png(clear, chunk(b"tRNS", b"\x0f\xff")), None),
        "rgb, tRNS": (
            png(np.stack([clear] * 3, -1), chunk(b"tRNS", b"\x0f\xff" * 3)), None,
        ),
    }  # fmt: skip
    for name, (content, expected) in contents.items():
        (tmp_path / "x").write_bytes(content)
        got = np.asarray(open_image(tmp_path / "x")).astype(float)
        assert (got[:, :12] == 255).all(), name
        if expected is None:
            assert (got[:, 12:] == round(100 / 4095 * 255)).all(), name
        else:
            wanted = as_bytes(expected[:, 12:], 0, 65535)
            wanted = np.stack([wanted] * 3, -1) if wanted.ndim == 2 else wanted
            assert np.abs(got[:, 12:] - wanted).max() <= 1, name


def test_nan_and_infinities_are_black_and_white(tmp_path):
    values = FLOATS.copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    (tmp_path / "x").write_bytes(tiff(values))
    got = np.asarray(open_image(tmp_path / "x", 1))
    assert got[0, :3].tolist() == [0, 255, 0]
    assert got[-1, -1] == 255
    (tmp_path / "x").write_bytes(tiff(np.full(GREY, np.nan, np.float32)))
    assert (np.asarray(open_image(tmp_path / "x", 1)) == 0).all()


def test_jpeg_2000_of_more_than_8_bits(tmp_path):
    Image.fromarray(noise(4095)).save(tmp_path / "x.jp2", irreversible=False)
    got = np.asarray(open_image(tmp_path / "x.jp2", 1)).astype(float)
    assert np.abs(got - as_bytes(noise(4095), 0, 4095)).max() <= 1


# -- one range for all of a data set ---------------------------------------------------------


def photos(root, contents):
    """Two classes, of files with the given contents in turn."""
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number, content in enumerate(contents):
            (root / name / f"{number}.png").write_bytes(content)
    return open_dataset(root)


def report_of(listing):
    verified = verify_images(listing.paths, listing.root)
    return verified, describe(listing, verified)


def test_images_of_one_data_set_have_one_range(tmp_path):
    """Up to 200 and up to 260: by the extremes of each they would differ by a factor of 257."""
    square = [png(noise(most, (20, 20))) for most in (200, 260, 4000)]
    listing = photos(tmp_path, square)
    verified, report = report_of(listing)
    chosen = choose_range(verified.extremes.values())
    assert tuple(chosen) == (0, 4095)
    files = ImageFiles(listing.paths, 20, channels=1, share=1.0, value_range=chosen)
    most = files[:].reshape(6, -1).max(1)
    assert most.tolist() == [round(v / 4095 * 255) for v in (200, 260, 4000)] * 2
    assert report["notes"] == [
        "6 images of more than 8 bits have values of 0 to 4,000: 0 is black and 4,095 white in all "
        "of them (data.value_range=[LOW,HIGH] sets another range).",
        "in doubt: 2 of them use less than a sixteenth of that range and look black, such as "
        "'0.png'.",
    ]
    assert "note: in doubt: 2 of them" in "\n".join(lines(report))


def test_what_a_file_says_is_no_matter_of_the_data_set(tmp_path):
    listing = photos(
        tmp_path,
        [
            tiff(noise(900, (20, 20)), bits=12),
            pnm(noise(900, (20, 20)), 1000),
            png(noise(65535, (20, 20))),
        ],
    )
    verified, _ = report_of(listing)
    assert len(verified.extremes) == 2
    files = ImageFiles(listing.paths, 20, channels=1, share=1.0, value_range=(0, 65535))
    assert files[:3].reshape(3, -1).max(1).tolist() == [56, 230, 255]


def test_the_range_is_remembered_with_the_checked_files(tmp_path, monkeypatch):
    listing = photos(tmp_path, [png(noise(4095)), tiff(FLOATS), saved(noise(255, dtype=np.uint8))])
    first, _ = report_of(listing)
    monkeypatch.setattr("paddle_resnet.data.folder.verify_images.decode", None)
    again, _ = report_of(listing)
    assert again.facts == first.facts
    assert again.extremes == first.extremes
    assert len(again.extremes) == 4


def test_floats_and_integers_that_no_range_fits_are_told(tmp_path):
    listing = photos(tmp_path, [png(noise(4095)), tiff(FLOATS)])
    verified, report = report_of(listing)
    with pytest.raises(
        DataError, match=r"2 images hold integers \(0 to 4,095\) and 2 floats \(0 to 1\)"
    ):
        choose_range(verified.extremes.values())
    assert report["notes"][0].startswith("in doubt: 2 images hold integers")


def test_floats_and_integers_of_one_range_go_together():
    both = [Extremes(0, 250, whole=True), Extremes(0.5, 254.5, whole=False)]
    assert tuple(choose_range(both)) == (0, 255)


def test_images_of_8_bits_alone_need_no_range(tmp_path):
    listing = photos(
        tmp_path, [saved(noise(255, COLOUR, np.uint8)), saved(noise(9, dtype=np.uint8))]
    )
    verified, report = report_of(listing)
    assert choose_range(verified.extremes.values()) is None
    assert report["notes"] == []
    assert value_range_of(listing.paths) == (None, [])


def test_a_range_that_is_given_is_said_to_be_so_and_cut_off_values_are_told(tmp_path):
    listing = photos(tmp_path, [png(noise(4095)), png(noise(1000))])
    verified, _ = report_of(listing)
    chosen = choose_range([Extremes(0, 1023, whole=True)])
    assert describe_range(verified.extremes, chosen, given=True) == [
        "4 images of more than 8 bits have values of 0 to 4,095: 0 is black and 1,023 white in all "
        "of them, as the recipe says.",
        "in doubt: 2 of them have values outside of that range, which become black or white.",
    ]


def test_files_in_memory_order_need_a_range_that_somebody_chose(tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(4095)))
    with pytest.raises(DataError, match=r"a\.png' has more than 8 bits and does not say which"):
        ImageFiles([tmp_path / "a.png"], 16)[:]


def test_images_given_together_have_one_range(tmp_path):
    for name, most in (("a", 4000), ("b", 260)):
        (tmp_path / f"{name}.png").write_bytes(png(noise(most)))
    (tmp_path / "c.jpg").write_bytes(b"no image")
    chosen, notes = value_range_of(sorted(tmp_path.iterdir()))
    assert tuple(chosen) == (0, 4095)
    assert notes[0].startswith("2 images of more than 8 bits have values of 0 to 4,000")
