"""Folders as people have them: wrappers, splits in long names, clutter, links, other suffixes."""

import io
import os

import numpy as np
import pytest
from image_makers import noise, pnm
from PIL import Image, features

from paddle_resnet.data.folder.image_io import find_images, read_image
from paddle_resnet.data.folder.open_dataset import find_files, open_dataset
from paddle_resnet.data.folder.verify_images import verify_images
from paddle_resnet.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))


def photo(path, shade=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), shade).save(path)
    return path


def photos(root, *folders, each=2):
    """Images in the folders of a data set."""
    for shade, folder in enumerate(folders):
        for number in range(each):
            photo(root / folder / f"{number}.png", 9 * shade + number)
    return root


def counts(listing):
    """Split to class to number of images."""
    return {
        split: {
            name: int((part.labels == number).sum()) for number, name in enumerate(listing.classes)
        }
        for split, part in listing.splits.items()
    }


BOTH = {"cat": 2, "dog": 2}


# -- splits and wrappers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("seg_train", "seg_test"),
        ("training_set", "test_set"),
        ("Train_Data", "Test_Data"),
        ("trainset", "testset"),
        ("TrainImages", "TestImages"),
        ("flowers-train", "flowers-test"),
        ("2. Training", "3. Testing"),
        ("train_resized", "test_resized"),
    ],
)
def test_splits_in_longer_names(tmp_path, train, test):
    photos(tmp_path, f"{train}/cat", f"{train}/dog", f"{test}/cat", f"{test}/dog")
    assert counts(open_dataset(tmp_path)) == {"train": BOTH, "test": BOTH}


def test_splits_within_wrappers_of_their_own_name_and_a_third_without_labels(tmp_path):
    """As Kaggle's Intel image classification has it."""
    photos(tmp_path, *(f"seg_{s}/seg_{s}/{c}" for s in ("train", "test") for c in ("cat", "dog")))
    photo(tmp_path / "seg_pred" / "seg_pred" / "1.png")
    listing = open_dataset(tmp_path)
    assert counts(listing) == {"train": BOTH, "test": BOTH}
    assert listing.notes == ["beside the split 'train', seg_pred is not read."]


def test_classes_are_not_taken_for_splits(tmp_path):
    photos(tmp_path, "train_station", "test_tube", "training_shoe")
    assert open_dataset(tmp_path).classes == ["test_tube", "train_station", "training_shoe"]


def test_two_folders_of_one_split_in_longer_names_are_told(tmp_path):
    photos(tmp_path, *(f"{s}/{c}" for s in ("train_1", "train_2", "test_1") for c in "ab"))
    with pytest.raises(DataError, match="has both 'train_1' and 'train_2'"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("wrapper", ["archive", "archive/dataset", "data/images/all", "PetImages"])
def test_wrappers_are_passed_through(tmp_path, wrapper):
    photos(tmp_path, f"{wrapper}/cat", f"{wrapper}/dog")
    listing = open_dataset(tmp_path)
    assert counts(listing) == {"train": BOTH}
    photos(tmp_path / "b", *(f"{wrapper}/{s}/{c}" for s in ("train", "val") for c in BOTH))
    assert counts(open_dataset(tmp_path / "b")) == {"train": BOTH, "validation": BOTH}


def test_images_beside_labels_of_another_kind(tmp_path):
    photos(tmp_path, *(f"images/{s}/{c}" for s in ("train", "val") for c in BOTH))
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "labels" / "train" / "1.txt").write_text("0 0.5 0.5 1 1")
    listing = open_dataset(tmp_path)
    assert counts(listing) == {"train": BOTH, "validation": BOTH}
    assert listing.notes == ["the images lie in 'images'."]


def test_a_class_beside_an_empty_one_is_no_wrapper(tmp_path):
    photos(tmp_path, "cat/indoors", "cat/outdoors")
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match="has only one class, 'cat'"):
        open_dataset(tmp_path)


def test_folders_of_folds_are_no_classes(tmp_path):
    photos(tmp_path, *(f"fold{n}/{c}" for n in (1, 2, 3) for c in BOTH))
    with pytest.raises(
        DataError,
        match=r"hold the same folders 'cat', 'dog': they are parts .*data.root=\S+/fold1\)",
    ):
        open_dataset(tmp_path)
    assert counts(open_dataset(tmp_path / "fold2")) == {"train": BOTH}


def test_folders_that_hold_the_same_folders_are_told(tmp_path):
    photos(tmp_path, *(f"{place}/{c}" for place in ("indoors", "outdoors") for c in BOTH))
    listing = open_dataset(tmp_path)
    assert listing.classes == ["indoors", "outdoors"]
    assert "hold the same folders 'cat', 'dog': the classes are the former" in listing.notes[0]


def test_images_beside_class_folders_are_told(tmp_path):
    photos(tmp_path, "cat", "dog")
    photo(tmp_path / "readme.png")
    assert open_dataset(tmp_path).notes == [
        f"left out of {tmp_path.name}/: 1 image in no class's folder."
    ]


# -- clutter, links, suffixes ----------------------------------------------------------------

CLUTTER = (
    "@eaDir", "__MACOSX", ".ipynb_checkpoints", "__pycache__", "#recycle", "$RECYCLE.BIN",
    "System Volume Information", "@Recycle", "lost+found", ".thumbnails", ".git",
)  # fmt: skip


@pytest.mark.parametrize("name", CLUTTER)
def test_folders_of_systems_and_tools_are_no_classes_and_hold_no_images(tmp_path, name):
    photos(tmp_path, "cat", "dog", f"{name}", f"cat/{name}", f"{name}/more")
    assert counts(open_dataset(tmp_path)) == {"train": BOTH}
    found, notes = find_images([str(tmp_path)])
    assert sorted(p.relative_to(tmp_path).as_posix() for p in found) == [
        "cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png",
    ]  # fmt: skip
    assert notes == []


def test_prediction_walks_as_training_does(tmp_path):
    photos(tmp_path / "mac", "album")
    photo(tmp_path / "elsewhere" / "linked" / "9.png")
    (tmp_path / "mac" / "more").symlink_to(tmp_path / "elsewhere" / "linked")
    (tmp_path / "mac" / "up").symlink_to(tmp_path)
    (tmp_path / "mac" / "album" / "loop").symlink_to("../album")
    (tmp_path / "mac" / "album" / "._0.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "mac" / "album" / "dead.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "mac" / "album" / "self.png").symlink_to("self.png")
    (tmp_path / "mac" / "album" / "notes.txt").write_text("hello")
    found, notes = find_images([str(tmp_path / "mac")])
    names = [path.relative_to(tmp_path / "mac").as_posix() for path in found]
    assert names == [
        "album/0.png", "album/1.png", "album/dead.png", "album/self.png", "more/9.png",
    ]  # fmt: skip
    assert "1 file without an image's suffix (1 .txt)" in notes[0]


def test_links_to_nothing_are_corrupt_images(tmp_path):
    photos(tmp_path, "cat", "dog", each=6)
    for number in range(3):
        (tmp_path / "dog" / f"{number}.png").unlink()
        (tmp_path / "dog" / f"{number}.png").symlink_to(f"/nowhere/{number}.png")
    (tmp_path / "dog" / "gone").symlink_to("/nowhere")  # a folder or file of no suffix: not told
    listing = open_dataset(tmp_path)
    assert counts(listing) == {"train": {"cat": 6, "dog": 6}}
    corrupt = verify_images(listing.paths, listing.root).corrupt
    assert sorted(path.name for path in corrupt) == ["0.png", "1.png", "2.png"]
    assert all("is a link to '/nowhere/" in sentence for sentence in corrupt.values())


def encoded(kind, **options):
    file = io.BytesIO()
    Image.fromarray(noise(255, (24, 20, 3), np.uint8)).save(file, kind, **options)
    return file.getvalue()


SUFFIXES = {
    ".jfif": lambda: encoded("JPEG"),
    ".jpe": lambda: encoded("JPEG"),
    ".JPG": lambda: encoded("JPEG"),
    ".pgm": lambda: pnm(noise(4095), 4095),
    ".pbm": lambda: b"P4\n8 4\n" + bytes([0x3C] * 4),
    ".pnm": lambda: encoded("PPM"),
    ".tga": lambda: encoded("TGA"),
    ".jp2": lambda: encoded("JPEG2000"),
    ".avif": lambda: encoded("AVIF"),
    ".webp": lambda: encoded("WEBP"),
    "": lambda: encoded("PNG"),
    ".0017": lambda: encoded("GIF"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_suffixes_of_images(tmp_path, suffix):
    if suffix == ".avif" and "avif" not in features.get_supported():
        pytest.skip("this Pillow reads no AVIF")
    content = SUFFIXES[suffix]()
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}{suffix}").write_bytes(content)
        (tmp_path / name / "README").write_text("P.S.: no image")
    listing = open_dataset(tmp_path)
    assert counts(listing) == {"train": BOTH}
    assert verify_images(listing.paths, listing.root).corrupt == {}
    assert len(find_images([str(tmp_path)])[0]) == 4
    assert read_image(listing.paths[0], (3, 8, 8)).std() > 0


def test_errors_name_what_was_left_out_just_before(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "a" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "a" / name / f"{number}.heic").write_bytes(b"x")
        (tmp_path / "a" / name / "notes.txt").write_text("x")
    with pytest.raises(
        DataError, match=r"holds no images: .* Left out: 8 files .*\(6 \.heic, 2 \.txt\)\."
    ):
        open_dataset(tmp_path / "a")
    with pytest.raises(DataError, match=r"holds no images .*8 files .*\(6 \.heic, 2 \.txt\)"):
        find_images([str(tmp_path / "a")])
    photos(tmp_path / "a", "cat")
    with pytest.raises(
        DataError, match=r"only one class, 'cat': .* left out of a/: 8 files .*6 \.heic"
    ):
        open_dataset(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "photos.zip").write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match=r"holds no images: .* There is 'photos.zip': unpack it"):
        open_dataset(tmp_path / "b")


OTHERS = {
    "data.zip": (b"PK\3\4....", "an archive"),
    "data.csv": (b"PK\3\4....[Content_Types].xml", "a spreadsheet: save it as CSV"),
    "data.tar": (b"x" * 257 + b"ustar", "an archive"),
    "data.tar.gz": (b"\x1f\x8b\x08\0", "an archive"),
    "data.7z": (b"7z\xbc\xaf\x27\x1c", "an archive"),
    "data.rar": (b"Rar!\x1a\x07", "an archive"),
    "cat.jpg": (b"\xff\xd8\xff\xe0", "an image"),
    "data.h5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "data.npy": (b"\x93NUMPY\1\0", "a NumPy array"),
    "data.parquet": (b"PAR1....", "a Parquet file"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_that_are_no_lists_are_named(tmp_path, name):
    content, what = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}' is an? .*") as error:
        open_dataset(tmp_path / name)
    assert what in str(error.value)
    assert "\n" not in str(error.value)


# -- what evaluation asks for ----------------------------------------------------------------


def evaluated(root, classes=("cat", "dog")):
    return counts(find_files(root, known=classes).for_evaluation(classes, "the run"))


def test_evaluation_asks_for_nothing_that_only_training_needs(tmp_path):
    photos(tmp_path / "one", "dog")
    assert evaluated(tmp_path / "one") == {"train": {"cat": 0, "dog": 2}}
    photos(tmp_path / "tested", "test/cat", "test/dog")
    assert evaluated(tmp_path / "tested") == {"test": BOTH}
    photos(tmp_path / "poor", "train/cat", "test/cat", "test/dog")
    assert evaluated(tmp_path / "poor")["test"] == BOTH
    photos(tmp_path / "nested", "dog/indoors", "dog/outdoors")
    assert evaluated(tmp_path / "nested") == {"train": {"cat": 0, "dog": 4}}
    photos(tmp_path / "wrapped", "photos/dog")
    assert evaluated(tmp_path / "wrapped") == {"train": {"cat": 0, "dog": 2}}
    photos(tmp_path / "called", "test", "train")
    assert evaluated(tmp_path / "called", ("test", "train")) == {"train": {"test": 2, "train": 2}}
    (tmp_path / "one" / "list.csv").write_text("dog/0.png,dog\n")
    assert evaluated(tmp_path / "one" / "list.csv") == {"train": {"cat": 0, "dog": 1}}
    (tmp_path / "tested" / "test.txt").write_text("test/cat/0.png cat\n")
    assert evaluated(tmp_path / "tested") == {"test": {"cat": 1, "dog": 0}}


def test_a_class_that_a_network_does_not_know_is_told_with_the_nearest_one(tmp_path):
    photos(tmp_path, "Cat", "dog")
    with pytest.raises(
        DataError,
        match=r"has the class 'Cat', which the run does not know: it knows .* Did you mean 'cat'\?",
    ):
        evaluated(tmp_path)


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    photos(tmp_path, "cat", "dog")
    os.chmod(tmp_path / "cat", 0)
    try:
        if os.access(tmp_path / "cat", os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(DataError, match=r"the folder .*cat' cannot be read"):
            open_dataset(tmp_path)
    finally:
        os.chmod(tmp_path / "cat", 0o700)
