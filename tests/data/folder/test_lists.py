"""Lists as other tools, other systems and Kaggle write them."""

import csv
import io
import unicodedata

import pytest
from PIL import Image

from paddle_resnet.data.folder.open_dataset import open_dataset
from paddle_resnet.data.folder.text_encoding import decode_text
from paddle_resnet.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path):
    """Images img/cat/0.jpg to 2.jpg, img/dog/..., and the same of hashes in train/."""
    for name in ("cat", "dog"):
        for number in range(3):
            image(tmp_path / "img" / name / f"{number}.jpg")
            image(tmp_path / "train" / f"{name}{number}f3a.jpg")
    return tmp_path


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)


def listed(root, name, text, encoding="utf-8"):
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return open_dataset(root / name)


def pairs(listing, split="train"):
    part = listing.splits[split]
    return [
        (p.as_posix().rsplit("/", 1)[-1], listing.classes[n])
        for p, n in zip(part.paths, part.labels)
    ]


CAT_DOG = [("0.jpg", "cat"), ("0.jpg", "dog")]


# -- separators ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "path"),
    [
        ("img/cat/a, b.jpg 0", "img/cat/a, b.jpg"),
        ("img/cat/a; b.jpg 0", "img/cat/a; b.jpg"),
        ("img/cat/a|b.jpg 0", "img/cat/a|b.jpg"),
        ("img/cat/a b c.jpg 0", "img/cat/a b c.jpg"),
        ("img/cat/a.jpg\t0", "img/cat/a.jpg"),
        ('img/cat/it\'s "a".jpg 0', 'img/cat/it\'s "a".jpg'),
        ("img/cat/a,b;c.jpg\t 0", "img/cat/a,b;c.jpg"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_whole_file_decides_the_separator(root, first, path, place):
    image(root / path)
    lines = ["img/cat/0.jpg 0", "img/dog/1.jpg 1"]
    lines.insert(place, first)
    listing = listed(root, "a.txt", "\n".join(lines))
    assert listing.classes == ["0", "1"]
    assert sorted(p.relative_to(root).as_posix() for p in listing.paths) == sorted(
        [path, "img/cat/0.jpg", "img/dog/1.jpg"]
    )


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_any_separator_in_any_list(root, mark, name):
    text = io.StringIO()
    table = csv.writer(text, delimiter=mark)
    table.writerows([("img/cat/0.jpg", "a cat, or two"), ("img/dog/0.jpg", "dog")])
    listing = listed(root, name, text.getvalue())
    assert pairs(listing) == [("0.jpg", "a cat, or two"), ("0.jpg", "dog")]


def test_labels_in_front(root):
    assert pairs(listed(root, "a.csv", "cat,img/cat/0.jpg\ndog,img/dog/0.jpg\n")) == CAT_DOG
    text = ",path,label\n0,img/cat/0.jpg,cat\n1,img/dog/0.jpg,dog\n"  # with pandas' index
    assert pairs(listed(root, "b.csv", text)) == CAT_DOG


# -- several labels --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "img/cat/0.jpg\t1,0,0\nimg/dog/0.jpg\t0,1,1\n"),
        ("a.txt", "img/cat/0.jpg\t1,0\nimg/cat/1.jpg\t1,0\n"),
        ("a.txt", "img/cat/0.jpg 1,0,0\nimg/dog/0.jpg 0,1,1\n"),
        ("a.txt", "img/cat/0.jpg 1 0 0\nimg/dog/0.jpg 0 1 1\n"),
        ("a.csv", "img/cat/0.jpg,0,1,1\nimg/dog/0.jpg,1,0,0\n"),
        ("a.csv", "path,furry,big\nimg/cat/0.jpg,1,0\nimg/dog/0.jpg,1,1\n"),
        ("a.csv", "image,label\nimg/cat/0.jpg,cat|pet\nimg/dog/0.jpg,pet\nimg/dog/1.jpg,cat\n"),
        ("a.txt", "img/cat/0.jpg\tcat|pet\nimg/dog/0.jpg\tdog|pet\n"),
        ("a.csv", 'image,label\nimg/cat/0.jpg,"a,b"\nimg/dog/0.jpg,"b,a"\nimg/dog/1.jpg,a\n'),
        (
            "a.csv",
            "image,tags\nimg/cat/0.jpg,soft small\nimg/dog/0.jpg,small\nimg/dog/1.jpg,soft\n",
        ),
    ],
)
def test_several_labels_an_image_are_refused(root, name, text):
    with pytest.raises(DataError, match="gives an image several labels: a classifier here has one"):
        listed(root, name, text)


@pytest.mark.parametrize(
    "labels",
    [
        ("Paris, Texas", "London"),
        ("red; dark", "blue"),
        ("10", "01"),
        ("a|b", "c|d"),
        ("Bergen, N", "Oslo, N"),
    ],
)
def test_labels_with_separators_are_one_label(root, labels):
    text = "".join(f'img/cat/{n}.jpg,"{label}"\n' for n, label in enumerate(labels))
    assert set(listed(root, "a.csv", text).classes) == set(labels)


def test_one_column_a_class(root):
    text = "image_id,cat,dog\nimg/cat/0.jpg,1,0\nimg/dog/0.jpg,0,1\nimg/dog/1.jpg,0.0,1.0\n"
    listing = listed(root, "a.csv", text)
    assert pairs(listing) == [*CAT_DOG, ("1.jpg", "dog")]
    assert "the columns 'cat', 'dog' of 'a.csv' are read as one label each." in listing.notes
    listing = listed(root, "b.csv", "img/cat/0.jpg,1,0,0\nimg/dog/0.jpg,0,0,1\n")
    assert pairs(listing) == [("0.jpg", "0"), ("0.jpg", "2")]


def test_columns_that_are_not_read_are_told(root):
    listing = listed(root, "a.csv", "img/cat/0.jpg,cat,30,40\nimg/dog/0.jpg,dog,50,60\n")
    assert pairs(listing) == CAT_DOG
    assert "2 further columns are not read" in listing.notes[0]


# -- headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "image_id,label", "id,breed", "image,species", "filename,cats", "id_code,diagnosis",
        "ImageId,ClassId", "Image Name,Class Name", "file,what it is", "photo_number,animal",
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_kaggle_headers_and_names_without_a_suffix(root, header, suffix):
    lines = [f"{name}{n}f3a{suffix},{name}" for name in ("cat", "dog") for n in range(3)]
    listing = listed(root, "train.csv", "\n".join([header, *lines]))
    assert pairs(listing) == [
        (f"{name}{n}f3a.jpg", name) for name in ("cat", "dog") for n in range(3)
    ]
    how = "count from 'train'" + ("" if suffix else ", lack the suffix")
    assert f"6 paths of 'train.csv' {how}." in listing.notes


def test_a_column_of_numbers_called_id_is_the_label_where_another_names_the_images(root):
    listing = listed(root, "a.csv", "Image,Id\nimg/cat/0.jpg,w_1\nimg/dog/0.jpg,w_2\n")
    assert pairs(listing) == [("0.jpg", "w_1"), ("0.jpg", "w_2")]


def test_a_split_column_of_another_meaning_is_not_read(root):
    listing = listed(root, "a.csv", "path,label,set\nimg/cat/0.jpg,cat,3\nimg/dog/0.jpg,dog,4\n")
    assert set(listing.splits) == {"train"}


def test_a_header_without_a_label_is_told(root):
    with pytest.raises(DataError, match="is 'path', 'width', 'height': which column is the label"):
        listed(root, "a.csv", "path,width,height\nimg/cat/0.jpg,3,4\nimg/dog/0.jpg,5,6\n")


def test_a_list_of_something_else_is_told(root):
    with pytest.raises(
        DataError,
        match=r"no column of .* names images .* first line is 'epoch', 'loss'.*'1' of line 2",
    ):
        listed(root, "a.csv", "epoch,loss\n1,0.5\n2,0.4\n")


def test_a_folder_of_ids_in_two_places_is_told(root):
    for n in range(3):
        for name in ("cat", "dog"):
            image(root / "copy" / f"{name}{n}f3a.jpg")
    lines = ["cat0f3a.jpg,cat", "dog1f3a.jpg,dog"]
    with pytest.raises(DataError, match="are in 'copy' and in 'train': write the folder"):
        listed(root, "labels.csv", "\n".join(lines))
    listing = listed(root, "train_labels.csv", "\n".join(lines))  # called like the folder
    assert [p.parent.name for p in listing.paths] == ["train", "train"]


# -- encodings and other systems -------------------------------------------------------------

CHINESE = [("img/cat/0.jpg", "猫"), ("img/dog/0.jpg", "狗")]


@pytest.mark.parametrize(
    "encoding",
    ["gbk", "gb18030", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lists_in_other_encodings(root, encoding, ends):
    text = "path,label" + ends + "".join(f"{path},{label}{ends}" for path, label in CHINESE)
    listing = listed(root, "a.csv", text, encoding)
    assert pairs(listing) == [("0.jpg", "猫"), ("0.jpg", "狗")]
    assert bool(listing.notes) == (encoding not in ("utf-8", "utf-8-sig"))


def test_names_in_another_encoding_are_found(root):
    image(root / "img" / "一只猫.jpg")
    listing = listed(root, "a.txt", "img/一只猫.jpg 0\nimg/dog/0.jpg 1\n", "gbk")
    assert pairs(listing)[0] == ("一只猫.jpg", "0")


def test_names_whose_bytes_are_in_the_encoding_of_the_list_are_found(root):
    """Unpacked on Linux from an archive that was made on a Chinese Windows."""
    import os

    name = os.fsdecode(os.fsencode(root / "img") + b"/" + "猫".encode("gbk") + b".jpg")
    Image.new("L", (4, 4)).save(name)
    listing = listed(root, "a.txt", "img/猫.jpg 0\nimg/dog/0.jpg 1\n", "gbk")
    assert len(listing) == 2


def test_accents_of_a_mac(root):
    """Composed in the list, decomposed on the disk, and the other way round."""
    image(root / "img" / unicodedata.normalize("NFD", "café") / "1.jpg")
    image(root / "img" / unicodedata.normalize("NFC", "señor.jpg"))
    lines = [
        unicodedata.normalize("NFC", "img/café/1.jpg a"),
        unicodedata.normalize("NFD", "img/señor.jpg b"),
    ]
    assert len(listed(root, "a.txt", "\n".join(lines))) == 2


def test_another_encoding_in_a_column_that_is_not_read(root):
    text = "path,label,comment\nimg/cat/0.jpg,cat,可爱\nimg/dog/0.jpg,dog,好\n"
    assert pairs(listed(root, "a.csv", text, "gbk")) == CAT_DOG


def test_accents_of_western_windows(root):
    listing = listed(root, "a.csv", "img/cat/0.jpg,cafés\nimg/dog/0.jpg,señor\n", "cp1252")
    assert set(listing.classes) == {"cafés", "señor"}


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00c\x00", bytes(range(256)), b"\x89PNG\r\n\x1a\n\0\0", b"\0" * 40]
)
def test_what_is_no_text(content):
    assert decode_text(content) == []


def test_backslashes_of_windows(root):
    listing = listed(root, "a.txt", "img\\cat\\0.jpg 0\r\nimg\\dog\\0.jpg 1\r\n")
    assert pairs(listing) == [("0.jpg", "0"), ("0.jpg", "1")]
    assert listing.notes == ["2 paths of 'a.txt' have backslashes, read as slashes."]
    image(root / "img" / "odd\\name.jpg")  # a legal name here
    listing = listed(root, "b.txt", "img/odd\\name.jpg 0\nimg\\dog\\0.jpg 1\n")
    assert pairs(listing) == [("odd\\name.jpg", "0"), ("0.jpg", "1")]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (
            "C:\\data\\img\\cat\\0.jpg",
            "another machine's path; 'img/cat/0.jpg' is there: write that",
        ),
        ("/home/me/set/img/cat/0.jpg", "another machine's path; 'img/cat/0.jpg' is there"),
        (
            "/home/me/elsewhere/0.jpg",
            "another machine's path: write paths that count from the list",
        ),
        ("img/cat/00.jpg", "Did you mean '0.jpg'"),
        ("img/cat/0.JPG", "Did you mean '0.jpg'"),
    ],
)
def test_paths_that_lead_to_nothing_come_with_a_hint(root, path, hint):
    with pytest.raises(DataError, match=r"line [12] of .* which is no file") as error:
        listed(root, "a.txt", f"img/cat/0.jpg 0\n{path} 1\n")
    assert hint in str(error.value)


@pytest.mark.parametrize("path", ["", "/", "\\", "//", " "])
def test_an_empty_path_is_told(root, path):
    (root / "labels.csv").write_text(f"image,label\n{path},1\n")
    with pytest.raises(DataError):
        open_dataset(root / "labels.csv")


# -- the tools of Paddle ---------------------------------------------------------------------


def paddle_lists(root, train, val, test=None, **more):
    for name, lines in {"train": train, "val": val, "test": test or []}.items():
        if lines:
            text = "".join(f"img/{path} {label}\n" for path, label in lines)
            (root / f"{name}_list.txt").write_text(text)
    for name, text in more.items():
        (root / f"{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_dataset(root)


TRAIN = [("cat/0.jpg", 0), ("cat/1.jpg", 0), ("dog/0.jpg", 1), ("dog/1.jpg", 1)]
VAL = [("cat/2.jpg", 0), ("dog/2.jpg", 1)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels", "cat\ndog\n"),
        ("label_list", "0 cat\n1 dog\n"),
        ("label", "1 dog\n0 cat\n"),
        ("labels", "0,cat\r\n1,dog\r\n"),
        ("label_list", "cat 0\ndog 1\n"),
        ("label", "0\tcat\n1\tdog\n2\temu\n"),
        ("labels", "\ufeffcat\n\ndog\n"),
    ],
)
def test_lists_of_paddle_and_names_of_classes(root, name, text):
    listing = paddle_lists(root, TRAIN, VAL, **{name: text})
    assert listing.classes == ["cat", "dog"]
    assert pairs(listing) == [
        ("0.jpg", "cat"),
        ("1.jpg", "cat"),
        ("0.jpg", "dog"),
        ("1.jpg", "dog"),
    ]
    assert pairs(listing, "validation") == [("2.jpg", "cat"), ("2.jpg", "dog")]
    assert listing.notes == [f"the classes' names are those of '{name}.txt'."]


def test_names_keep_the_order_of_the_numbers(root):
    listing = paddle_lists(root, TRAIN, VAL, labels="zebra\nant\n")
    assert listing.classes == ["zebra", "ant"]
    assert listing.splits["train"].labels.tolist() == [0, 0, 1, 1]


def test_numbers_from_1(root):
    train, val = ([(path, label + 1) for path, label in lines] for lines in (TRAIN, VAL))
    assert paddle_lists(root, train, val, labels="cat\ndog\n").classes == ["cat", "dog"]


def test_numbers_that_a_spreadsheet_wrote(root):
    train, val = ([(path, f"{label}.0") for path, label in lines] for lines in (TRAIN, VAL))
    listing = paddle_lists(root, train, val, labels="zebra\nant\n")
    assert listing.classes == ["zebra", "ant"]
    assert listing.splits["train"].labels.tolist() == [0, 0, 1, 1]


def test_names_in_chinese_of_a_chinese_windows(root):
    listing = paddle_lists(root, TRAIN, VAL, label_list="0 猫\r\n1 狗\r\n".encode("gbk"))
    assert listing.classes == ["猫", "狗"]


def test_two_numbers_of_one_name_stay_two_classes(root):
    assert paddle_lists(root, TRAIN, VAL, labels="crane\ncrane\n").classes == [
        "crane (0)", "crane (1)",
    ]  # fmt: skip


def test_a_file_of_names_that_lacks_a_number_is_told(root):
    listing = paddle_lists(root, TRAIN, VAL, labels="cat\n")
    assert listing.classes == ["0", "1"]
    assert listing.notes == ["'labels.txt' does not name the class 1: it is not read."]


def test_names_of_classes_are_not_asked_for_where_labels_are_names(root):
    train = [(path, path.split("/")[0]) for path, _ in TRAIN]
    listing = paddle_lists(root, train, train, labels="wolf\nfox\n")
    assert listing.classes == ["cat", "dog"]
    assert listing.notes == []


def test_a_test_list_without_labels_is_told(root):
    (root / "test_list.txt").write_text("img/cat/2.jpg\nimg/dog/2.jpg\n")
    listing = paddle_lists(root, TRAIN, VAL)
    assert set(listing.splits) == {"train", "validation"}
    assert listing.notes == ["'test_list.txt' has no labels: it is not used."]


def test_a_table_of_test_images_without_labels_is_told(root):
    """As Kaggle has it: ids and other facts."""
    lines = [f"{name}{n}f3a,{name}" for name in ("cat", "dog") for n in range(3)]
    (root / "train.csv").write_text("\n".join(["id,label", *lines]))
    image(root / "test" / "x1.jpg")
    (root / "test.csv").write_text("id,width,height\nx1,4,4\n")
    index = open_dataset(root)
    assert set(index.splits) == {"train"}
    assert "'test.csv' has no labels: it is not used." in index.notes


def test_class_folders_beside_a_list_of_something_else(root):
    (root / "img" / "train.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    listing = open_dataset(root / "img")
    assert listing.classes == ["cat", "dog"]
    assert listing.notes == ["'train.csv': no list of images, so the folders are read."]
    (root / "img" / "train.txt").write_text("a diary\nof a training\n")
    assert open_dataset(root / "img").classes == ["cat", "dog"]


def test_a_list_beside_class_folders_that_lacks_one_image_is_an_error(root):
    (root / "img" / "train.csv").write_text("cat/0.jpg,cat\ndog/0.jpg,dog\ndog/9.jpg,dog\n")
    with pytest.raises(DataError, match=r"line 3 of .* names 'dog/9.jpg', which is no file"):
        open_dataset(root / "img")


def test_the_one_list_beside_images_in_no_class_folder_is_read(root):
    """As Kaggle's dog-breed identification has it: labels.csv, train/, test/."""
    (root / "img").rename(root / "train" / "..img")
    image(root / "test" / "x1.jpg")
    lines = [f"{name}{n}f3a,{name}" for name in ("cat", "dog") for n in range(3)]
    (root / "labels.csv").write_text("\n".join(["id,breed", *lines]))
    listing = open_dataset(root)
    assert listing.classes == ["cat", "dog"]
    assert len(listing) == 6
    assert "there are no class folders: the list 'labels.csv' is read." in listing.notes
