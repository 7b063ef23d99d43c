"""Open a data set of image files: class folders or lists."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Union

from ...errors import PATH_LIMIT, DataError, for_display
from .class_folders import read_folder
from .dataset_index import DatasetIndex, FoundFiles
from .file_walk import entries
from .label_list import SUFFIXES, NoImageList, lists_of_splits, read_label_list

#: How other files begin that people name as data sets, and what to say about them.
_OTHERS = (
    (b"PK\x03\x04", "an archive: unpack it, and name its folder"),
    (b"Rar!", "an archive: unpack it, and name its folder"),
    (b"7z\xbc\xaf", "an archive: unpack it, and name its folder"),
    (b"\x1f\x8b", "an archive: unpack it, and name its folder"),
    (b"BZh", "an archive: unpack it, and name its folder"),
    (b"\xfd7zXZ", "an archive: unpack it, and name its folder"),
    (b"\xff\xd8\xff", "an image: name the folder of its class's folder, or a list"),
    (b"\x89PNG", "an image: name the folder of its class's folder, or a list"),
    (b"\x89HDF", "an HDF5 file: save its images as files, in a folder for each class"),
    (b"\x93NUMPY", "a NumPy array: save its images as files, in a folder for each class"),
    (b"PAR1", "a Parquet file: save its images as files, in a folder for each class"),
    (b"SQLite format 3", "a database: save its images as files, in a folder for each class"),
)


#: What is in the beginning of a spreadsheet, which is an archive too.
_OFFICE = (b"[Content_Types].xml", b"mimetypeapplication/vnd", b"xl/", b"docProps/")


def open_dataset(root: Union[str, Path]) -> DatasetIndex:
    """List the images of a folder or of lists, to train on them.

    Raises:
        DataError: there is none of them at ``root``, or see `FoundFiles.for_training`.
    """
    return find_files(root).for_training()


def find_files(root: Union[str, Path], known: Collection[str] = ()) -> FoundFiles:
    """Find the images of a folder or of lists, and the names of their classes.

    Lists in a folder win over its class folders, unless nothing in them names an image.

    Args:
        root: a folder or a list.
        known: names of classes, where they are known; see `class_folders.read_folder`.

    Raises:
        DataError: there is none of them at ``root``.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise DataError(f"there is no folder or list '{for_display(root, PATH_LIMIT)}'.")
    if path.is_file():
        _refuse_others(path)
        return read_label_list(path)
    lists = lists_of_splits(path)
    if not lists or ("train" not in lists and not known):
        return _read_folder(path, known)
    try:
        return read_label_list(path)
    except NoImageList as error:
        try:
            found = read_folder(path, known)
        except DataError:
            raise error from None
        names = ", ".join(f"'{for_display(file.name)}'" for file in lists.values())
        found.notes.append(f"{names}: no list of images, so the folders are read.")
        return found


def _read_folder(path: Path, known: Collection[str]) -> FoundFiles:
    """Read class folders; where there are none, the one list of images that is there."""
    try:
        return read_folder(path, known)
    except DataError:
        found = []
        for entry in entries(path):
            if Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                try:
                    found.append((entry.name, read_label_list(Path(entry.path))))
                except DataError:
                    continue
        if len(found) != 1:
            raise
        name, listed = found[0]
        listed.notes.append(f"there are no class folders: the list '{for_display(name)}' is read.")
        return listed


def _refuse_others(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begin = file.read(512)
    except OSError:
        return  # reading it as a list says why
    if begin.startswith(b"PK\x03\x04") and any(part in begin for part in _OFFICE):
        raise DataError(f"'{for_display(path, PATH_LIMIT)}' is a spreadsheet: save it as CSV.")
    for mark, what in _OTHERS:
        if begin.startswith(mark):
            raise DataError(f"'{for_display(path, PATH_LIMIT)}' is {what}.")
    if begin[257:262] == b"ustar":
        raise DataError(
            f"'{for_display(path, PATH_LIMIT)}' is an archive: unpack it, and name its folder."
        )
