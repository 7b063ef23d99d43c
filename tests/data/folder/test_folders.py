"""Folders and lists as people have them: what is read, and what is said about the rest."""

import os
import zlib

import numpy as np
import pytest
from PIL import Image

from paddle_resnet.config import load_config
from paddle_resnet.data import Augment, BatchLoader, ImageFiles
from paddle_resnet.data.folder.decoding import image_decoder
from paddle_resnet.data.folder.folder_report import describe, lines
from paddle_resnet.data.folder.image_files import ImageCache
from paddle_resnet.data.folder.image_io import open_image, read_image
from paddle_resnet.data.folder.open_dataset import open_dataset
from paddle_resnet.data.folder.verify_images import Verified, drop_corrupt, verify_images
from paddle_resnet.data.splits import load_splits
from paddle_resnet.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))


def picture(path, colour=(200, 30, 30), size=(20, 16), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def photos(root, classes=("cat", "dog"), each=3, parts=("",)):
    for part in parts:
        for number, name in enumerate(classes):
            for i in range(each):
                picture(root / part / name / f"{i}.jpg", (80 * number, 10 * i, 0))
    return root


def verified(listing):
    return verify_images(listing.paths, listing.root)


def names(listing, part="train"):
    files = listing.splits[part]
    return [(path.name, listing.classes[label]) for path, label in zip(files.paths, files.labels)]


# -- layouts ---------------------------------------------------------------------------------


def test_a_folder_per_class(tmp_path):
    photos(tmp_path, ("b", "a", "C"))
    listing = open_dataset(tmp_path)
    assert listing.classes == ["C", "a", "b"]
    assert set(listing.splits) == {"train"}
    assert names(listing)[0] == ("0.jpg", "C")
    assert listing.splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert listing.notes == []


@pytest.mark.parametrize("word", ["val", "Valid", "validation", "dev"])
def test_folders_of_parts(tmp_path, word):
    photos(tmp_path, parts=("train", word, "test"))
    listing = open_dataset(tmp_path)
    assert {part: len(files) for part, files in listing.splits.items()} == {
        "train": 6, "validation": 6, "test": 6,
    }  # fmt: skip


def test_classes_that_are_numbers_are_in_the_order_of_numbers(tmp_path):
    photos(tmp_path, ("10", "9", "1"), each=1)
    assert open_dataset(tmp_path).classes == ["1", "9", "10"]


def test_a_class_may_be_called_test(tmp_path):
    photos(tmp_path, ("test", "quiz"))
    assert open_dataset(tmp_path).classes == ["quiz", "test"]


def test_classes_may_be_called_like_parts_where_they_hold_images(tmp_path):
    photos(tmp_path, ("train", "bus", "val"))
    assert open_dataset(tmp_path).classes == ["bus", "train", "val"]


def test_a_test_part_without_labels_is_not_used_and_told(tmp_path):
    photos(tmp_path, parts=("train", "val"))
    picture(tmp_path / "test" / "1.jpg")
    listing = open_dataset(tmp_path)
    assert set(listing.splits) == {"train", "validation"}
    assert listing.notes == ["test/ holds 1 image, but in no class's folder: it is not used."]


def test_images_in_folders_within_a_class_and_behind_links_count(tmp_path):
    photos(tmp_path / "set")
    picture(tmp_path / "set" / "cat" / "more" / "deep" / "x.PNG")
    picture(tmp_path / "elsewhere" / "y.png")
    (tmp_path / "set" / "dog" / "z.png").symlink_to(tmp_path / "elsewhere" / "y.png")
    (tmp_path / "set" / "emu").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "cat" / "more" / "loop").symlink_to(tmp_path / "set" / "cat")
    (tmp_path / "set" / "cat" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "dog" / "dead.png").symlink_to(tmp_path / "nowhere.png")
    listing = open_dataset(tmp_path / "set")
    assert listing.classes == ["cat", "dog", "emu"]
    assert ("x.PNG", "cat") in names(listing)
    assert ("z.png", "dog") in names(listing)
    assert len(listing) == 10
    assert [path.name for path in verified(listing).corrupt] == ["dead.png"]


def test_what_systems_leave_behind_is_no_class_and_no_image(tmp_path):
    photos(tmp_path)
    picture(tmp_path / ".thumbnails" / "a.png")
    picture(tmp_path / "__MACOSX" / "a.png")
    (tmp_path / "cat" / "._0.jpg").write_bytes(b"resource fork")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    (tmp_path / "readme.md").write_text("hello")
    listing = open_dataset(tmp_path)
    assert len(listing) == 6
    assert listing.notes == [
        f"left out of {tmp_path.name}/: 1 file without an image's suffix (1 .txt)."
    ]


def test_names_in_any_script_and_names_that_are_no_text(tmp_path):
    photos(tmp_path, ("кошка", "犬", "café"))
    strange = os.fsdecode(os.fsencode(tmp_path / "犬") + b"/\xff\xfe.png")
    Image.new("RGB", (4, 4)).save(strange)
    (tmp_path / "犬" / "1\n\x1b[2J.jpg").write_bytes(b"")
    listing = open_dataset(tmp_path)
    assert listing.classes == ["café", "кошка", "犬"]
    sentences = "\n".join(verified(listing).corrupt.values())
    assert "1??[2J.jpg' is no image" in sentences
    lines(describe(listing, Verified()))[0].encode()
    assert read_image(listing.splits["train"].paths[-1], (3, 4, 4)).shape == (3, 4, 4)


def test_an_empty_class_is_left_out_and_told(tmp_path):
    photos(tmp_path)
    (tmp_path / "emu").mkdir()
    listing = open_dataset(tmp_path)
    assert listing.classes == ["cat", "dog"]
    assert listing.notes == [f"no images in {tmp_path.name}/: emu; left out as a class."]


def test_a_class_that_is_missing_in_validation_is_told(tmp_path):
    photos(tmp_path, ("cat", "dog", "emu"), parts=("train",))
    photos(tmp_path, ("cat", "dog"), parts=("val",))
    assert open_dataset(tmp_path).notes == ["the validation split has no image of 'emu'."]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "holds no images: expected a folder per class"),
        (lambda root: picture(root / "a.jpg"), "holds 1 image, but in no class's folder"),
        (lambda root: photos(root, ("cat",)), "has only one class, 'cat'"),
        (lambda root: photos(root, parts=("val",)), "has 'val', but no folder 'train' beside it"),
        (
            lambda root: (
                photos(root, parts=("train",)),
                photos(root, ("emu", "cat"), 1, ("val",)),
            ),
            "the validation split of .* has the class 'emu', which the training split has not",
        ),
        (lambda root: photos(root, parts=("train", "val", "valid")), "has both 'val' and 'valid'"),
        (lambda root: photos(root, parts=("train",), each=0), "holds no images|no training images"),
    ],
)
def test_folders_that_cannot_be_used_are_told_in_a_sentence(tmp_path, make, message):
    (tmp_path / "train").mkdir() if "each=0" in str(make) else None
    make(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        open_dataset(tmp_path)
    assert "\n" not in str(error.value)


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(DataError, match="there is no folder or list"):
        open_dataset(tmp_path / "absent")


# -- lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "path,label\ncat/0.jpg,cat\ndog/0.jpg,dog\n"),
        ("a.csv", "\ufefflabel;image\ncat;cat/0.jpg\ndog;dog/0.jpg\n"),
        ("a.csv", 'cat/0.jpg,cat\r\n"dog/0.jpg","dog"\r\n'),
        ("a.tsv", "cat/0.jpg\tcat\ndog/0.jpg\tdog"),
        ("a.txt", "# Paddle's way\ncat/0.jpg cat\n\n  dog/0.jpg   dog\n"),
    ],
)
def test_lists_of_all_kinds(tmp_path, name, text):
    photos(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    listing = open_dataset(tmp_path / name)
    assert names(listing) == [("0.jpg", "cat"), ("0.jpg", "dog")]


def test_blanks_in_paths_commas_in_quotes_and_numbers_as_labels(tmp_path):
    picture(tmp_path / "my cat, 1.jpg")
    (tmp_path / "a.csv").write_text('"my cat, 1.jpg",10\nb.jpg,9\n')
    picture(tmp_path / "b.jpg")
    assert names(open_dataset(tmp_path / "a.csv")) == [("my cat, 1.jpg", "10"), ("b.jpg", "9")]
    (tmp_path / "b.txt").write_text("my cat, 1.jpg\t10\nb.jpg\t9\n")
    (tmp_path / "c.txt").write_text("my dog 2.jpg 10\nb.jpg 9\n")
    picture(tmp_path / "my dog 2.jpg")
    assert open_dataset(tmp_path / "b.txt").classes == ["9", "10"]
    assert names(open_dataset(tmp_path / "c.txt"))[0] == ("my dog 2.jpg", "10")


def test_a_column_of_parts_and_lists_in_a_folder(tmp_path):
    photos(tmp_path)
    (tmp_path / "a.csv").write_text(
        "path,label,split\ncat/0.jpg,cat,train\ndog/0.jpg,dog,train\ncat/1.jpg,cat,valid\n"
        "dog/1.jpg,dog,test\n"
    )
    (tmp_path / "train.txt").write_text("cat/0.jpg cat\ndog/0.jpg dog\n")
    (tmp_path / "val.txt").write_text("cat/1.jpg cat\n")
    for root, parts in ((tmp_path / "a.csv", (2, 1, 1)), (tmp_path, (2, 1))):
        listing = open_dataset(root)
        order = ("train", "validation", "test")
        assert tuple(len(listing.splits[part]) for part in order[: len(parts)]) == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "has a header and no lines"),
        ("cat/0.jpg,cat\nabsent.jpg,dog\n", "line 2 of .* names .*absent.jpg', which is no file"),
        ("cat/0.jpg,cat\ndog/0.jpg\n", "line 2 of .* expected a path and a label"),
        ("cat/0.jpg,cat\n,dog\n", "line 2 of .* expected a path and a label"),
        ("cat/0.jpg,cat\ncat/0.jpg,dog\n", "is both 'cat' and 'dog'"),
        ("cat/0.jpg,cat\ncat/1.jpg,cat\n", "has only one class, 'cat'"),
        ('cat/0.jpg,cat\n"dog/0.jpg,dog\n', "is no valid CSV"),
        ("path,label,split\ncat/0.jpg,cat,holiday\n", "belongs to the split 'holiday': expected"),
        (b"\xff\xfe\x00c\x00", "is no text in UTF-8"),
        ("cat/0.jpg,cat\na\0b,dog\n", "no file|no valid CSV|no text"),
    ],
)
def test_lists_that_cannot_be_used_are_told_with_the_line(tmp_path, text, message):
    photos(tmp_path)
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "a.csv")


# -- images of every kind --------------------------------------------------------------------


def chunk(kind, content):
    return (
        len(content).to_bytes(4, "big")
        + kind
        + content
        + zlib.crc32(kind + content).to_bytes(4, "big")
    )


def test_modes_of_every_kind_become_8_bit_rgb(tmp_path):
    red = {
        "rgb.png": ("RGB", (255, 0, 0)),
        "rgba.png": ("RGBA", (255, 0, 0, 255)),
        "palette.gif": ("RGB", (255, 0, 0)),
        "cmyk.jpg": ("CMYK", (0, 255, 255, 0)),
        "cmyk.tif": ("CMYK", (0, 255, 255, 0)),
    }
    for name, (mode, colour) in red.items():
        path = picture(tmp_path / name, colour, mode=mode)
        assert np.asarray(open_image(path)).reshape(-1, 3).mean(0) == pytest.approx(
            [255, 0, 0], abs=3
        ), name
    greys = {
        "grey.png": ("L", 128),
        "grey_alpha.png": ("LA", (128, 255)),
        "sixteen.png": ("I;16", 128 * 257),
        "wide.tif": ("I", 128 * 257),
        "float.tif": ("F", 128.0),
    }
    for name, (mode, colour) in greys.items():
        path = picture(tmp_path / name, colour, mode=mode)
        for channels in (1, 3):
            pixels = np.asarray(open_image(path, channels))
            assert (pixels == 128).all(), name
            assert pixels.shape == (16, 20, 3)[: 2 + channels // 2]
    assert (np.asarray(open_image(picture(tmp_path / "bit.png", 1, mode="1"))) == 255).all()
    clear = picture(tmp_path / "clear.png", (255, 0, 0, 0), mode="RGBA")
    assert (np.asarray(open_image(clear)) == 255).all()
    mixed = Image.new("P", (2, 1))
    mixed.putpalette([255, 0, 0, 0, 0, 255])
    mixed.putdata([0, 1])
    mixed.save(tmp_path / "p.png", transparency=0)
    assert np.asarray(open_image(tmp_path / "p.png")).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_a_photo_lies_as_its_camera_was_held(tmp_path):
    image = Image.new("RGB", (40, 20))
    image.paste((255, 255, 255), (0, 0, 20, 20))  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right: white comes to the top
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    for least in (None, 8):
        upright = np.asarray(open_image(tmp_path / "a.jpg", least=least)).astype(int)
        assert upright.shape[0] == 2 * upright.shape[1]
        assert upright[: len(upright) // 2 - 4].min() > 240
        assert upright[len(upright) // 2 + 4 :].max() < 15


def test_a_wrong_suffix_does_not_matter(tmp_path):
    picture(tmp_path / "a.png", (0, 0, 255))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.asarray(open_image(tmp_path / "a.jpg"))[0, 0].tolist() == [0, 0, 255]


def damaged_files(folder):
    whole = picture(folder / "whole.jpg", size=(64, 64)).read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    png = (folder / "noise.png").read_bytes()
    header = chunk(b"IHDR", (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00")
    content = {
        "empty.jpg": b"",
        "text.jpg": b"not an image at all",
        "cut.jpg": whole[: len(whole) // 2],
        "cut.png": png[: len(png) // 2],
        "changed.png": png[:500] + bytes(50) + png[550:],
        "bomb.png": b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b""),
        "page.jpg": b"<html>404</html>",
    }
    (folder / "noise.png").unlink()
    with open(folder / "huge.tif", "wb") as file:
        file.truncate(image_decoder.MAX_BYTES + 1)  # a hole: it takes no room on the disk
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return {*content, "huge.tif"}


def test_corrupt_images_are_found_listed_and_left_out(tmp_path):
    photos(tmp_path)
    bad = damaged_files(tmp_path / "cat")
    listing = open_dataset(tmp_path)
    corrupt = verified(listing).corrupt
    assert {path.name for path in corrupt} == bad
    for path, sentence in corrupt.items():
        assert path.name in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence
    kept = drop_corrupt(listing, corrupt, skip=True)
    assert len(kept) == 7
    assert any("huge.tif' is larger than 512 MB" in text for text in corrupt.values())
    assert f"left out: {len(bad)} corrupt images. '" in kept.notes[-1]
    assert "And 3 more." in kept.notes[-1]
    with pytest.raises(DataError, match=r"8 corrupt images among 15: .*data\.on_corrupt=skip"):
        drop_corrupt(listing, corrupt, skip=False)


def test_what_is_no_file_is_not_read():
    with pytest.raises(DataError, match="'/dev/zero' is no file"):
        open_image("/dev/zero")


def test_a_class_of_corrupt_images_alone_is_an_error(tmp_path):
    photos(tmp_path)
    for path in (tmp_path / "dog").iterdir():
        path.write_bytes(b"")
    listing = open_dataset(tmp_path)
    with pytest.raises(DataError, match="every training image of 'dog' is corrupt"):
        drop_corrupt(listing, verified(listing).corrupt, skip=True)


def test_sound_images_are_decoded_once_and_changed_ones_again(tmp_path, monkeypatch):
    photos(tmp_path)
    (tmp_path / "cat" / "0.jpg").write_bytes(b"")
    assert len(verified(open_dataset(tmp_path)).corrupt) == 1
    seen = []
    real = image_decoder.decode
    monkeypatch.setattr(
        "paddle_resnet.data.folder.verify_images.decode",
        lambda path, *rest, **more: seen.append(path.name) or real(path, *rest, **more),
    )
    assert len(verified(open_dataset(tmp_path)).corrupt) == 1
    assert seen == ["0.jpg"]
    (tmp_path / "dog" / "2.jpg").write_bytes(b"now corrupt")
    assert len(verified(open_dataset(tmp_path)).corrupt) == 2


def test_an_unreadable_memory_of_checks_costs_time_alone(tmp_path, monkeypatch):
    photos(tmp_path / "set")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "file" / "below"))
    assert verified(open_dataset(tmp_path / "set")).corrupt == {}


# -- the report ------------------------------------------------------------------------------


def test_the_report_counts_and_finds_copies(tmp_path):
    photos(tmp_path, ("cat", "dog"), parts=("train", "val"))
    picture(tmp_path / "train" / "cat" / "new.jpg", (1, 2, 3))
    (tmp_path / "train" / "dog" / "twin.jpg").write_bytes(
        (tmp_path / "train" / "cat" / "new.jpg").read_bytes()
    )
    (tmp_path / "train" / "cat" / "bad.jpg").write_bytes(b"bad")
    listing = open_dataset(tmp_path)
    report = describe(listing, verified(listing))
    assert report["images"] == {"train": [5, 4], "validation": [3, 3]}
    assert report["imbalance"] == 1.25
    assert len(report["corrupt"]) == 1
    groups = [{(f["split"], f["class"]) for f in group} for group in report["copies"]]
    assert groups.count({("train", "cat"), ("validation", "cat")}) == 3
    assert {("train", "cat"), ("train", "dog")} in groups
    assert len(groups) == 7
    text = "\n".join(lines(report))
    assert "balance: each class has 3" in "\n".join(lines({**report, "images": {"train": [3, 3]}}))
    assert "imbalance: 'cat' has 5 training images, 'dog' 4: 1.2 times as many." in text
    assert "7 groups of files with equal content, 6 of them across splits" in text
    assert "1 of them with different classes" in text


# -- reading ---------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Photos of several sizes with something to see in them."""
    rng = np.random.default_rng(0)
    paths = []
    for number, size in enumerate([(64, 48), (30, 90), (200, 150), (16, 16), (33, 31)]):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        path = tmp_path / f"{number}.{'png' if number % 2 else 'jpg'}"
        coarse.resize(size, Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def test_files_stand_where_an_array_stands(files):
    images = ImageFiles(files, 24, share=0.9)
    assert images.shape == (5, 3, 24, 24)
    assert len(images) == 5
    expected = [read_image(path, (3, 24, 24), 0.9) for path in files]
    assert np.array_equal(images[np.arange(5)], expected)
    assert np.array_equal(images[1:3], expected[1:3])
    assert np.array_equal(images.take(np.array([4, 0]))[:], [expected[4], expected[0]])
    loader = BatchLoader(images, np.arange(5), 2, mean=[0.5] * 3, std=[0.25] * 3, workers=2)
    batches = list(loader)
    assert [labels.tolist() for _, labels in batches] == [[0, 1], [2, 3], [4]]
    pixels = (np.array(expected) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(np.concatenate([b for b, _ in batches]), pixels, atol=1e-5)


def test_memory_changes_nothing_and_stays_within_its_limit(files):
    augmented = []
    for limit in (0, 10_000, 2**30):
        memory = ImageCache(limit)
        loader = BatchLoader(
            ImageFiles(files, 16, memory=memory),
            np.arange(5),
            2,
            shuffle=True,
            flip=True,
            augment=Augment(random_resized_crop=0.1, trivial_augment=True),
        )
        augmented.append([batch for epoch in range(3) for batch in loader.batches(epoch)])
        assert memory.used <= limit
    assert memory.used > 10_000
    for one, other in zip(augmented[0] + augmented[1], augmented[2] * 2):
        assert all(map(np.array_equal, one, other))


def test_a_crop_of_a_large_photo_is_that_of_the_photo(tmp_path):
    """Reduced to twice the size first, which a smooth picture does not show."""
    ramp = np.linspace(0, 255, 1600).round().astype(np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (1200, 1))] * 3, -1)).save(tmp_path / "a.png")
    images = ImageFiles([tmp_path / "a.png"], 32)
    crop = images.random_crops([0], np.array([[1.0, 0.5, 0.5, 0.5]]), 0.1)[0]
    # All of the height, and as much of the width, from the middle.
    expected = (200 + (np.arange(32) + 0.5) * 1200 / 32) / 1600 * 255
    assert np.abs(crop[0, 16] - expected).max() < 2


def test_a_file_that_breaks_between_check_and_use_is_named(files):
    images = ImageFiles(files, 16)
    files[2].write_bytes(b"")
    loader = BatchLoader(images, np.arange(5), 2, workers=2)
    with pytest.raises(DataError, match=r"2\.jpg' is no image that can be read"):
        list(loader)
    files[2].unlink()
    with pytest.raises(DataError, match=r"2\.jpg' cannot be read as an image: No such file"):
        list(loader)


def test_more_threads_than_images_and_batches(files):
    loader = BatchLoader(ImageFiles(files, 16), np.arange(5), 4, workers=16)
    assert [len(batch) for batch, _ in loader] == [4, 1]


@pytest.mark.parametrize("channels", ["4", "2", "0", "-1", "3.5", "x", "null", "true", "[3]"])
def test_image_files_have_1_or_3_channels(tmp_path, channels):
    photos(tmp_path)
    overrides = (f"data.root={tmp_path}", f"model.options.in_channels={channels}")
    with pytest.raises(DataError, match=r"in_channels is .* 1 channel \(grey\) or 3 \(RGB\)"):
        load_splits(load_config("finetune", overrides), lambda line: None)
