"""Which columns of a list are the path, the label and the split, by their names and contents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from ...errors import PATH_LIMIT, DataError, for_display
from .dataset_index import SPLIT_NAMES, some
from .list_rows import Row
from .path_finder import NoImageList, PathFinder

#: Names of columns; a header is read in small letters, with blanks as underscores.
_PATH = {
    *("path", "paths", "image", "images", "image_path", "img_path", "image_file", "img_file"),
    *("filename", "filenames", "file_name", "file", "files", "filepath", "file_path", "fname"),
    *("img", "image_name", "img_name", "image_id", "img_id", "imageid", "id", "id_code"),
    *("photo", "picture"),
}
_LABEL = (
    *("label", "class", "target", "category", "class_name", "label_name", "labels"),
    *("class_id", "label_id", "category_id", "category_name", "classname", "species", "breed", "y"),
)
#: Labels too, where there is no column for each class.
_LABEL_TOO = ("cats", "cat", "tags", "tag")
_SPLIT = ("split", "subset", "part", "set")
_WORDS = {word for words in SPLIT_NAMES.values() for word in words}
_SAMPLE = 100
#: A label for each class, 0 or 1.
_HOT = re.compile(r"[01]([,;|\s]+[01])+")


class Columns(NamedTuple):
    """Where a row has what."""

    path: int
    #: None where a row has no label.
    label: Optional[int]
    split: Optional[int] = None
    #: Columns of which one is 1 in each row, and the classes that they stand for.
    one_hot: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    header: bool = False
    notes: tuple[str, ...] = ()


def find_columns(
    file: Path, rows: Sequence[Row], finder: PathFinder, labelled: bool = True
) -> Columns:
    """Find the columns by the names in a header, else by what the rows hold.

    Args:
        file: the list, for errors.
        rows: its lines.
        finder: which fields name files.
        labelled: whether a list without a label is an error.

    Raises:
        NoImageList: no column names files that are there.
        DataError: the label could be several columns; or each image has several labels.
    """
    step = -(-len(rows) // _SAMPLE) or 1
    body = [row.fields for row in rows[1:]]
    sample = [row.fields for row in rows[1::step]] or [rows[0].fields]
    first = rows[0].fields
    names = [_plain(name) for name in first]
    width = max(map(len, [first, *sample]))
    hits = [
        sum(finder.rank(row[column]) for row in sample if len(row) > column)
        for column in range(width)
    ]
    by_name = [column for column, name in enumerate(names[:width]) if name in _PATH]
    is_named = bool(by_name) and any(name in (*_LABEL, *_LABEL_TOO, *_SPLIT) for name in names)
    if not any(hits):
        if not is_named and any(map(finder.rank, first)):
            hits = [finder.rank(field) for field in first]  # a single line
        elif is_named:
            hits = [int(column == by_name[0]) for column in range(width)]  # the lines decide
        elif _several_after_blanks(first[0], finder):
            raise DataError(several_labels(file))
        else:
            raise NoImageList(_no_images(file, rows, finder))
    path = hits.index(max(hits))
    if path not in by_name and any(hits[column] == hits[path] for column in by_name):
        path = next(column for column in by_name if hits[column] == hits[path])
    paths = [row[path] for row in sample if len(row) > path]
    if path not in by_name and all(re.fullmatch(r"\d+", text, re.ASCII) for text in paths):
        raise NoImageList(
            _no_images(file, rows, finder)
        )  # numbers are the names of images by chance
    finder.settle(paths)
    header = len(first) > path and not finder.rank(first[path])
    header &= is_named or not _is_path_like(first[path])
    others = [column for column in range(width) if column != path]
    if not header:
        return _without_header(file, [first, *body], path, others)
    return _with_header(file, body, first, path, others, labelled)


def _plain(name: str) -> str:
    """Return a column's name in small letters, with underscores."""
    return re.sub(r"\W+", "_", name.strip().lower())


def _without_header(file: Path, body: list[list[str]], path: int, others: list[int]) -> Columns:
    if not others:
        return Columns(path, None)
    hot = _one_hot(file, body, others)
    if hot:
        numbers = tuple(map(str, range(len(hot))))
        note = f"the {len(hot)} columns of '{for_display(file.name)}' are read as one label each."
        return Columns(path, None, one_hot=hot, classes=numbers, notes=(note,))
    label = path + 1 if path + 1 in others else path - 1
    unread = len(others) - 1
    rest = f"{unread} further {'column is' if unread == 1 else 'columns are'} not read"
    note = (
        f"'{for_display(file.name)}' has no header: column {path + 1} is the path and column "
        f"{label + 1} the label; {rest}."
    )
    return Columns(path, label, notes=(note,) if unread and label is not None else ())


def _with_header(
    file: Path,
    body: list[list[str]],
    first: list[str],
    path: int,
    others: list[int],
    labelled: bool,
) -> Columns:
    names = [_plain(name) for name in first]
    others = [column for column in others if column < len(names)]
    split = next((c for name in _SPLIT for c in others if names[c] == name), None)
    if split is not None and names[split] != "split":
        words = {row[split].lower() for row in body if len(row) > split}
        split = split if words <= _WORDS else None
    others = [column for column in others if column != split]
    label = next((c for name in _LABEL for c in others if names[c] == name), None)
    if label is None and len(others) == 1:
        label = others[0]
    if label is not None or not others:
        return Columns(path, label, split, header=True)
    hot = _one_hot(file, body, others)
    label = next((c for name in _LABEL_TOO for c in others if names[c] == name), None)
    if label is not None and not hot:
        return Columns(path, label, split, header=True)
    if hot:
        classes = tuple(first[column] for column in hot)
        note = (
            f"the columns {some(classes)} of '{for_display(file.name)}' are read as one label each."
        )
        return Columns(path, None, split, hot, classes, header=True, notes=(note,))
    if not labelled:
        return Columns(path, None, split, header=True)
    raise DataError(
        f"the header of '{for_display(file, PATH_LIMIT)}' is {some(first, 8)}: which column is the "
        "label? Call it 'label'."
    )


def _one_hot(file: Path, body: list[list[str]], columns: list[int]) -> tuple[int, ...]:
    """Return the columns if each row has exactly one 1 in them; nothing if they hold other things.

    Raises:
        DataError: they are 0 and 1, but not one 1 in each row.
    """
    binary = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
    if len(columns) < 2:
        return ()
    sums = set()
    for row in body:
        values = [binary.get(row[c]) if c < len(row) else None for c in columns]
        if None in values:
            return ()
        sums.add(sum(values))
    if sums - {1}:
        raise DataError(several_labels(file))
    return tuple(columns)


def several_labels(file: Path) -> str:
    """Return the sentence for lists of several labels an image."""
    return (
        f"'{for_display(file, PATH_LIMIT)}' gives an image several labels: a classifier here has "
        "one label for each image. Choose one of them (such as the first), or train a network for "
        "each."
    )


def refuse_several_labels(file: Path, labels: Sequence[str], name: str = "") -> None:
    """Refuse labels such as ``0,1,0`` or ``cat|dog``: lists whose items are labels elsewhere too.

    Args:
        file: for the sentence.
        labels: all of them.
        name: of the column; ``tags`` are separated by blanks too.

    Raises:
        DataError: they are lists.
    """
    marks = r"[,;|\s]" if name in ("tags", "labels", "attributes") else r"[,;|]"
    items = {label: {i.strip() for i in re.split(marks, label)} - {""} for label in {*labels}}
    several = [label for label in items if len(items[label]) > 1 or _HOT.fullmatch(label)]
    uses = Counter(item for found in items.values() for item in found)
    again = all(uses[item] > 1 for label in several for item in items[label])
    # Nobody writes a bar within one label: an item in two of them is enough.
    bars = any(uses[item] > 1 for label in several if "|" in label for item in items[label])
    if several and (again or bars or all(map(_HOT.fullmatch, items))):
        raise DataError(several_labels(file))


def _several_after_blanks(line: str, finder: PathFinder) -> bool:
    """Return whether a line is a path and several numbers 0 and 1, separated by blanks."""
    words = line.split()
    return len(words) > 1 and set(words[1:]) <= {"0", "1"} and finder.rank(words[0]) > 0


def _is_path_like(field: str) -> bool:
    return bool(re.search(r"[\\/]|\.\w{2,5}$", field))


def _no_images(file: Path, rows: Sequence[Row], finder: PathFinder) -> str:
    name = for_display(file, PATH_LIMIT)
    first = rows[0]
    if len(rows) == 1 or _is_path_like(first.fields[0]):
        field = first.fields[0]
        return (
            f"line {first.number} of '{name}' names '{for_display(field, PATH_LIMIT)}', which is "
            "no file." + finder.hint(field)
        )
    field = rows[1].fields[0]
    return (
        f"no column of '{name}' names images that are there: its first line is "
        f"{some(first.fields, 8)}, and '{for_display(field, PATH_LIMIT)}' of line "
        f"{rows[1].number} is no file, with or without an image's suffix, in the list's folder or "
        "in one beside it." + finder.hint(field)
    )
