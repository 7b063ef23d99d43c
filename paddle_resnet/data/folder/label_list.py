"""Lists of images and labels: CSV with or without a header, or text lines ``path label``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...errors import PATH_LIMIT, DataError, for_display
from .class_names import find_class_names
from .dataset_index import SPLIT_NAMES, FoundFiles
from .list_columns import Columns, find_columns, refuse_several_labels
from .list_rows import Row, find_separator, split_rows
from .path_finder import NoImageList, PathFinder
from .text_encoding import read_text

SUFFIXES = (".csv", ".tsv", ".txt")
#: A list of more is none: ImageNet's 1.3 million lines have 45 MB.
MAX_BYTES = 512 * 2**20
#: Names of lists in a folder: the split's word, alone or as Paddle's tools have it.
_NAMES = ("{}", "{}_list", "{}list", "{}_labels")


def lists_of_splits(folder: Path) -> dict[str, Path]:
    """Return the lists of a folder: ``train.csv``, ``val_list.txt`` and so on."""
    found = {}
    for split, words in SPLIT_NAMES.items():
        for pattern in _NAMES:
            for word in words:
                for suffix in SUFFIXES:
                    file = folder / (pattern.format(word) + suffix)
                    if file.is_file():
                        found.setdefault(split, file)
    return found


def read_label_list(root: Path) -> FoundFiles:
    """Read one list, or those of a folder: ``train.csv`` and, where they are, ``val``, ``test``.

    A line is a path, relative to the list's own folder or absolute, and a label, separated by a
    comma, a tab or, in ``.txt``, by the last blank. Quotes work as in CSV. A header may name more
    columns, a ``split`` among them, of words such as ``train``, ``val`` and ``test``. What else is
    understood stands in `list_rows`, `list_columns`, `path_finder` and `class_names`.

    Raises:
        NoImageList: nothing in a file names an image.
        DataError: a file that cannot be read, a line that is none (with its number), an image that
            is not there, a path that stands there with two labels.
    """
    files = {"train": root} if root.is_file() else lists_of_splits(root)
    found = FoundFiles(root, {})
    for split, file in files.items():
        _read_one(found, split, file)
    for split, entries in found.entries.items():
        labels: dict[Path, str] = {}
        for path, label in entries:
            if labels.setdefault(path, label) != label:
                raise DataError(
                    f"in the {split} split of '{for_display(root, PATH_LIMIT)}', "
                    f"'{for_display(path, PATH_LIMIT)}' is both '{for_display(labels[path])}' and "
                    f"'{for_display(label)}'."
                )
    _name_classes(found, next(iter(files.values())).parent)
    return found


def _read_one(found: FoundFiles, split: str, file: Path) -> None:
    name = for_display(file, PATH_LIMIT)
    readings = []
    for text in read_text(file, MAX_BYTES):
        finder = PathFinder(file, text.encoding)
        readings.append((find_separator(file, text.content, finder.rank), text, finder))
    separator, text, finder = max(readings, key=lambda each: each[0].score)
    rows = split_rows(file, text.content, separator.mark)
    if not rows:
        raise DataError(f"the list '{name}' is empty.")
    columns = find_columns(file, rows, finder, labelled=split == "train")
    heading = [field.lower() for field in rows[0].fields] if columns.header else []
    body = rows[1:] if columns.header else rows
    if not body:
        raise DataError(f"the list '{name}' has a header and no lines.")
    if columns.label is None and not columns.one_hot and split != "train":
        found.notes.append(f"'{for_display(file.name)}' has no labels: it is not used.")
        return
    labels = []
    for row in body:
        path, label, row_split = _fields(row, columns, file, finder)
        found.entries.setdefault(row_split or split, []).append((path, label))
        labels.append(label)
    named = heading[columns.label] if heading and columns.label is not None else ""
    refuse_several_labels(file, labels, named)
    found.notes += [f"'{for_display(file.name)}' is {text.note}."] if text.note else []
    found.notes += [*columns.notes, *finder.notes()]


def _fields(row: Row, columns: Columns, file: Path, finder: PathFinder) -> tuple[Path, str, str]:
    """Return path, label and split (or nothing) of a line."""
    name, fields = for_display(file, PATH_LIMIT), row.fields
    needed = [columns.path, *([columns.label] if columns.label is not None else ())]
    if columns.label is None and not columns.one_hot:
        needed.append(len(fields))
    if len(fields) <= max(needed) or not all(fields[column] for column in needed):
        raise DataError(
            f"line {row.number} of '{name}' is {for_display(', '.join(fields), 80)!r}: expected a "
            "path and a label."
        )
    path = finder.find(fields[columns.path])
    if path is None:
        raise DataError(
            f"line {row.number} of '{name}' names '{for_display(fields[columns.path], PATH_LIMIT)}'"
            f", which is no file.{finder.hint(fields[columns.path])}"
        )
    split = ""
    if columns.split is not None and len(fields) > columns.split:
        split = _split_of(fields[columns.split], row.number, file)
    if columns.one_hot:
        hot = next(n for n, c in enumerate(columns.one_hot) if float(fields[c]) == 1)
        return path, columns.classes[hot], split
    return path, fields[columns.label], split


def _split_of(word: str, number: int, file: Path) -> str:
    for split, words in SPLIT_NAMES.items():
        if word.lower() in words:
            return split
    raise DataError(
        f"line {number} of '{for_display(file, PATH_LIMIT)}' belongs to the split "
        f"{for_display(word)!r}: expected train, val or test."
    )


def _name_classes(found: FoundFiles, folder: Path) -> None:
    """Put names in place of numbers, where a file beside the list has them."""
    labels = Counter(label for entries in found.entries.values() for _, label in entries)
    known = find_class_names(folder, labels) if labels else None
    if known is None:
        return
    found.notes.append(known.note)
    if known.names:
        found.entries = {
            split: [(path, known.names[label]) for path, label in entries]
            for split, entries in found.entries.items()
        }
        found.order = list(known.names.values())


__all__ = ["NoImageList", "lists_of_splits", "read_label_list"]
