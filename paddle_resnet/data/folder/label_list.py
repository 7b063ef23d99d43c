"""Lists of images and labels: CSV with or without a header, or text lines ``path label``."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Optional

from ...errors import DataError
from .dataset_index import SPLIT_NAMES, DatasetIndex, build
from .image_io import for_display

SUFFIXES = (".csv", ".tsv", ".txt")
#: A list of more is none: ImageNet's 1.3 million lines have 45 MB.
MAX_BYTES = 512 * 2**20
_PATH = ("path", "image", "image_path", "filename", "file", "file_name", "filepath", "img")
_LABEL = ("label", "class", "target", "category", "class_name", "label_name")
_SPLIT = ("split", "part", "set", "subset")


def is_label_list(root: Path) -> bool:
    """Whether a path is a list, or a folder with ``train.csv``, ``train.tsv`` or ``train.txt``."""
    return root.is_file() or bool(_of_parts(root))


def read_label_list(root: Path) -> DatasetIndex:
    """Read one list, or those of a folder: ``train.csv`` and, where they are, ``val``, ``test``.

    A line is a path, relative to the list's own folder or absolute, and a label, separated by a
    comma, a tab or, in ``.txt``, by the last blank. Quotes work as in CSV. A header is known by its
    names (``path,label``, ``image,class``, ...); it may name a column ``split`` too, of words such
    as ``train``, ``val`` and ``test``. Blank lines, and lines that begin with ``#``, are left out.

    Raises:
        DataError: a file that cannot be read, a line that is none (with its number), an image that
            is not there, a path that stands there with two labels; or see `listing.build`.
    """
    files = {"train": root} if root.is_file() else _of_parts(root)
    entries: dict[str, list[tuple[Path, str]]] = {}
    for part, file in files.items():
        for number, path, label, split in _lines(file):
            if not _is_file(path):
                raise DataError(
                    f"line {number} of '{for_display(file)}' names "
                    f"'{for_display(path)[-200:]}', which is no file."
                )
            entries.setdefault(split or part, []).append((path, label))
    for part, found in entries.items():
        labels: dict[Path, str] = {}
        for path, label in found:
            if labels.setdefault(path, label) != label:
                raise DataError(
                    f"in the {part} part of '{for_display(root)}', '{for_display(path)}' is both "
                    f"'{for_display(labels[path])}' and '{for_display(label)}'."
                )
    return build(root, entries, [])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


def _of_parts(folder: Path) -> dict[str, Path]:
    found = {}
    for part, names in SPLIT_NAMES.items():
        for name in names:
            for suffix in SUFFIXES:
                if (folder / f"{name}{suffix}").is_file():
                    found.setdefault(part, folder / f"{name}{suffix}")
    return found if "train" in found else {}


def _lines(file: Path) -> list[tuple[int, Path, str, str]]:
    """Return number, path, label and part (or nothing) of each line."""
    rows = _rows(file)
    if not rows:
        raise DataError(f"the list '{for_display(file)}' is empty.")
    columns, named = _columns(rows[0][1])
    result = []
    for number, row in rows[1:] if named else rows:
        if len(row) <= max(columns[:2]) or not row[columns[0]] or not row[columns[1]]:
            raise DataError(
                f"line {number} of '{for_display(file)}' is "
                f"{for_display(', '.join(row))[:80]!r}: expected a path and a label."
            )
        path, label = row[columns[0]], row[columns[1]]
        split = ""
        if columns[2] is not None and len(row) > columns[2]:
            split = _part(row[columns[2]], number, file)
        result.append((number, file.parent / path, label, split))
    if not result:
        raise DataError(f"the list '{for_display(file)}' has a header and no lines.")
    return result


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """Split a list into fields, by what its first line has: comma, tab, semicolon or blank."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"'{for_display(file)}' is larger than {MAX_BYTES >> 20} MB: no list.")
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(
            f"'{for_display(file)}' is no text in UTF-8: expected a list of images."
        ) from None
    except OSError as error:
        raise DataError(
            f"the list '{for_display(file)}' cannot be read: {error.strerror or error}."
        ) from None
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    marks = (",", ";", "\t") if file.suffix.lower() == ".csv" else ("\t", ",", ";")
    comma = next((mark for mark in marks if lines and mark in lines[0]), None)
    rows = []
    try:
        if comma is None:  # Paddle's and Caffe's lists: a path may have blanks, a label has none
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip() and line.strip()[0] != "#":
                    rows.append((number, line.strip().rsplit(None, 1)))
        else:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
            for row in reader:
                fields = [field.strip() for field in row]
                if any(fields) and fields[0][:1] != "#":
                    rows.append((reader.line_num, fields))
    except csv.Error as error:
        raise DataError(f"'{for_display(file)}' is no sound CSV: {error}.") from None
    return rows


def _columns(first: list[str]) -> tuple[tuple[int, int, Optional[int]], bool]:
    """Return where path, label and split stand, and whether the first row is a header."""
    names = [name.lower().replace(" ", "_") for name in first]
    path = next((i for i, name in enumerate(names) if name in _PATH), None)
    label = next((i for i, name in enumerate(names) if name in _LABEL), None)
    if path is None or label is None:
        return (0, 1, None), False
    return (path, label, next((i for i, name in enumerate(names) if name in _SPLIT), None)), True


def _part(word: str, number: int, file: Path) -> str:
    for part, names in SPLIT_NAMES.items():
        if word.lower() in names:
            return part
    raise DataError(
        f"line {number} of '{for_display(file)}' belongs to the part {for_display(word)!r}: "
        "expected train, val or test."
    )
