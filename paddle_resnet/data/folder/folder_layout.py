"""What the folders of a data set are: splits, classes, or wrappers around these."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Optional

from ...errors import PATH_LIMIT, DataError, for_display
from .dataset_index import SPLIT_NAMES, some
from .file_walk import LeftOut, folders, loose_images, walk

#: Words that say nothing about what a folder of a split holds.
_FILLERS = {
    *("set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "picture"),
    *("pictures", "photo", "photos", "jpg", "jpeg", "png", "folder", "folders", "split", "splits"),
    *("part", "class", "classes", "labelled", "labeled", "full", "final", "raw", "resized"),
    *("cropped", "clean", "processed"),
}
_SPLIT_OF = {word: split for split, words in SPLIT_NAMES.items() for word in words}
_FOLDS = re.compile(r"fold|split|part|subset|batch|group|cv|run|round|k|set|data|dataset|\d+")


def find_splits(top: Path, known: Collection[str] = ()) -> dict[str, Path]:
    """Return the folders of splits: called so, or in longer names such as ``seg_train``.

    Args:
        top: the folder of the data set.
        known: names of classes, which are never taken for splits.

    Raises:
        DataError: two folders could be one split.
    """
    below = [folder for folder in folders(top) if folder.name not in known]
    found = _by_name(top, {folder: _SPLIT_OF.get(folder.name.lower()) for folder in below})
    if len(below) > len(found) and not any(map(folders, found.values())):
        found = {}  # classes that are called so, such as the train among a bus and a plane
    if "train" in found:
        return found
    longer = _by_longer_names(below)
    others = {split for split in longer.values() if split not in (None, "train")}
    if "train" in longer.values() and others:
        named = {folder: split for folder, split in longer.items() if split}
        # Folders of images alone are classes, such as train_station and test_tube.
        if all(folders(folder) and not loose_images(folder) for folder in named):
            return _by_name(top, named)
    return found


def _by_name(top: Path, splits: dict[Path, Optional[str]]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder, split in splits.items():
        if split is not None and split in found:
            raise DataError(
                f"'{for_display(top, PATH_LIMIT)}' has both '{for_display(found[split].name)}' and "
                f"'{for_display(folder.name)}': which one is the {split} split?"
            )
        if split is not None:
            found[split] = folder
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _by_longer_names(below: list[Path]) -> dict[Path, Optional[str]]:
    """Read names that are a split's word and fillers, or words that other such names share."""
    read = {folder: _words(folder.name) for folder in below}
    rests = {
        folder: (found[0], tuple(word for word in words if word not in _SPLIT_OF))
        for folder, words in read.items()
        if len(found := [_SPLIT_OF[word] for word in words if word in _SPLIT_OF]) == 1
    }
    shared = [rest for _, rest in rests.values()]
    return {
        folder: split if set(rest) <= _FILLERS or shared.count(rest) > 1 else None
        for folder, (split, rest) in rests.items()
    }


def _words(name: str) -> list[str]:
    """Split ``Training_Set``, ``trainImages`` or ``seg-train2`` into words in small letters."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W\d_]+", spaced.lower())
    result = []
    for word in words:  # trainset, testdata
        split = next(
            (s for s in _SPLIT_OF if word.startswith(s) and word[len(s) :] in _FILLERS), None
        )
        result += [word] if split is None else [split, word[len(split) :]]
    return result


def unwrap(folder: Path, known: Collection[str] = ()) -> Path:
    """Descend through folders that do nothing but hold the classes' or the splits' folders.

    A wrapper is the only folder beside which there are no images, and holds none itself but in
    folders below, as in ``archive/dataset/cat``. A single class whose images lie in folders of
    their own looks alike: it is one if its name is known.

    Args:
        folder: where to begin.
        known: names of classes.
    """
    while not loose_images(folder):
        below = folders(folder)
        holding = [each for each in below if _holds_images(each)]
        others = [each for each in below if each not in holding]
        if len(holding) != 1 or not all(map(_holds_files, others)):
            break
        only = holding[0]
        inside = [each for each in folders(only) if _holds_images(each)]
        is_split = only.name.lower() in _SPLIT_OF and only.name != folder.name
        if only.name in known or loose_images(only) or not inside or is_split:
            break
        folder = only
    return folder


def _holds_images(folder: Path) -> bool:
    return next(walk(folder, LeftOut()), None) is not None


def _holds_files(folder: Path) -> bool:
    left_out = LeftOut()
    return any(walk(folder, left_out)) or bool(left_out)


def nested_classes(root: Path, classes: list[Path]) -> str:
    """Return a sentence where each folder holds the same folders, which may be the classes.

    Raises:
        DataError: by their names the folders are parts of a data set, such as ``fold1``.
    """
    if len(classes) < 2 or any(loose_images(folder) for folder in classes):
        return ""
    names = [{each.name for each in folders(folder)} for folder in classes]
    common = sorted(set.intersection(*names))
    if len(common) < 2:
        return ""
    outer, inner = [folder.name for folder in classes], some(common)
    where = for_display(root, PATH_LIMIT)
    one = f"{where}/{for_display(outer[0])}"
    words = [re.findall(r"[^\W\d_]+|\d+", name.lower()) for name in outer]
    if all(w and all(_FOLDS.fullmatch(x) or x in _SPLIT_OF for x in w) for w in words):
        raise DataError(
            f"the folders {some(outer)} of '{where}' hold the same folders {inner}: they are parts "
            f"of a data set and no classes. Name one of them (data.root={one})"
            ", or call them train, val and test."
        )
    return (
        f"the folders {some(outer)} hold the same folders {inner}: the classes are the former. If "
        f"they are the latter, name one of the former (data.root={one})."
    )
