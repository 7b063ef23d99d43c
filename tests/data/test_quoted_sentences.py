"""Whatever a sentence quotes of a name, a file or an argument is printable and short."""

import json

import numpy as np
import pytest
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.data import Augment, BatchLoader, load_cifar10, train_validation_split
from paddle_resnet.data.cifar.cifar100 import load_cifar100
from paddle_resnet.data.folder.image_io import find_images, open_image
from paddle_resnet.data.folder.open_dataset import open_dataset
from paddle_resnet.errors import DataError

#: What a terminal would take for a command, a line break, and no text at all.
BAD = "a\x1b[2J\n\udcff\u202eb"
PIXELS = np.zeros((4, 3, 8, 8), np.uint8)


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path, "PNG")


def written(path, text):
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


CASES = {
    "a folder that is not there": lambda root: open_dataset(root / BAD),
    "an image that is not there": lambda root: find_images([str(root / BAD)]),
    "no image": lambda root: open_image(written(root / f"{BAD}.png", "x")),
    "a link to nothing": lambda root: open_image(linked(root / f"{BAD}.png")),
    "a folder without images": lambda root: find_images([str(made(root / BAD))]),
    "one class": lambda root: one_class(root),
    "a path in a list": lambda root: open_dataset(
        written(root / "a.csv", f"1.png,0\n{BAD.replace(chr(10), '')},1\n")
    ),
    "a label in a list": lambda root: open_dataset(
        written(root / "a.csv", f'1.png,"{BAD}"\n1.png,b\n')
    ),
    "a split in a list": lambda root: open_dataset(
        written(root / "a.csv", f'path,label,split\n1.png,b,"{BAD}"\n')
    ),
    "a header": lambda root: open_dataset(
        written(root / "a.csv", f'path,"{BAD}","{BAD}2"\n1.png,b,c\n')
    ),
    "CIFAR-10 that is not there": lambda root: load_cifar10(str(root / BAD)),
    "CIFAR-10 that is none": lambda root: load_cifar10(str(written(root / BAD, "x"))),
    "CIFAR-100 that is none": lambda root: load_cifar100(str(written(root / BAD, "x"))),
    "a batch size": lambda root: BatchLoader(PIXELS, np.zeros(4, int), BAD),
    "a mean": lambda root: BatchLoader(PIXELS, np.zeros(4, int), 2, mean=[1.0] * 100_000),
    "a std": lambda root: BatchLoader(PIXELS, np.zeros(4, int), 2, std=BAD),
    "a strength": lambda root: Augment(mixup=float("1" + "0" * 300)),
    "a seed": lambda root: train_validation_split(np.zeros(9, int), 3, seed=BAD),
    "a size": lambda root: train_validation_split(np.zeros(9, int), BAD * 1000),
}


def linked(path):
    path.symlink_to("/nowhere/" + BAD)
    return path


def made(path):
    path.mkdir()
    return path


def one_class(root):
    photo(root / "set" / BAD / "1.png")
    return open_dataset(root / "set")


@pytest.mark.parametrize("case", CASES)
def test_sentences_are_printable_and_short(tmp_path, case):
    photo(tmp_path / "1.png")
    with pytest.raises(DataError) as error:
        CASES[case](tmp_path)
    said = str(error.value)
    assert all(c.isprintable() for c in said), ascii(said)
    assert len(said) < 1000


def test_reports_and_answers_are_printable(tmp_path, capsys):
    for name in (BAD, "dog"):
        for number in range(2):
            photo(tmp_path / "set" / name / f"{BAD}{number}.png")
    written(tmp_path / "set" / "dog" / f"{BAD}.heic", "x")
    assert main(["data", "folder", str(tmp_path / "set")]) == 0
    assert main(["data", "folder", str(tmp_path / "set"), "--json"]) == 0
    said = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in said), ascii(said)
    assert main(["predict", str(tmp_path / "set"), "--json"]) == 0
    said = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in said.out + said.err)
    assert len([json.loads(line) for line in said.out.splitlines()]) == 4
