"""Image folders: a folder per class, with or without folders ``train``, ``val``, ``test`` above."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError
from .dataset_index import SPLIT_NAMES, DatasetIndex, build, counted
from .image_io import SUFFIXES, for_display

#: What systems and tools leave behind in folders.
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")


def read_folder(root: Path) -> DatasetIndex:
    """List the images of ``root/class/*.jpg``, or of ``root/train/class/*.jpg`` and so on.

    Classes are the names of folders, in alphabetical order (numbers in the order of their values,
    where all names are numbers). Folders within a class's belong to it. Symbolic links are
    followed; hidden files, and files whose suffix is not an image's, are left out.

    Args:
        root: the folder. Parts are ``train``, ``val`` (``valid``, ``validation``, ``dev``) and
            ``test``, in any case of letters.

    Raises:
        DataError: it is no such folder, or see `listing.build`.
    """
    folders = _folders(root)
    parts = {}
    for part, names in SPLIT_NAMES.items():
        found = [folder for folder in folders if folder.name.lower() in names]
        if len(found) > 1:
            raise DataError(
                f"'{for_display(root)}' has both '{for_display(found[0].name)}' and "
                f"'{for_display(found[1].name)}': which one is the {part} part?"
            )
        if found:
            parts[part] = found[0]
    if len(folders) > len(parts) and not any(map(_folders, parts.values())):
        parts = {}  # classes that are called so, such as the train among a bus and a plane
    notes: list[str] = []
    if "train" not in parts:
        if parts and len(folders) == len(parts):
            raise DataError(
                f"'{for_display(root)}' has '{for_display(next(iter(parts.values())).name)}', "
                "but no folder 'train' beside it."
            )
        parts = {"train": root}  # `test` may well be a class here
    elif set(parts.values()) != set(folders):
        others = sorted(for_display(f.name) for f in set(folders) - set(parts.values()))
        notes.append(f"beside the part 'train', {', '.join(others[:5])} is not read.")
    entries = {}
    for part, folder in parts.items():
        entries[part], ignored, empty = [], 0, []
        for class_folder in _folders(folder):
            before = len(entries[part])
            for path in _files(class_folder):
                if path.suffix.lower() in SUFFIXES:
                    entries[part].append((path, class_folder.name))
                else:
                    ignored += 1
            if len(entries[part]) == before:
                empty.append(for_display(class_folder.name))
        where = for_display(folder.name)
        if empty and part == "train":
            notes.append(f"no images in {where}/: {', '.join(empty[:5])}; left out as a class.")
        if ignored:
            notes.append(
                f"left out of {where}/: {counted(ignored, 'file')} without an image's suffix."
            )
        if not entries[part]:
            loose = [e for e in _entries(folder) if Path(e.name).suffix.lower() in SUFFIXES]
            what = (
                f"{counted(len(loose), 'image')}, but in no class's folder"
                if loose
                else "no images"
            )
            if part == "train":
                raise DataError(
                    f"'{for_display(folder)}' holds {what}: expected a folder per class, such as "
                    f"{where}/cat/1.jpg and {where}/dog/2.jpg."
                )
            notes.append(f"{where}/ holds {what}: it is not used.")
    return build(root, {part: files for part, files in entries.items() if files}, notes)


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"the folder '{for_display(folder)}' cannot be read: {error.strerror or error}."
        ) from None
    return [each for each in found if not each.name.startswith(".") and each.name not in _CLUTTER]


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def _files(folder: Path) -> Iterator[Path]:
    """Walk through a folder in order; links that lead back up, to other classes, are left out."""
    top = os.path.realpath(folder)
    waiting, seen = [folder], {top}
    while waiting:
        for entry in _entries(waiting.pop(0)):
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                above = top.startswith(os.path.join(real, ""))
                if real not in seen and not above:
                    seen.add(real)
                    waiting.append(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path)
