"""Lines of a list as fields: the separator is decided by all of the file, not by its first line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional

from ...errors import PATH_LIMIT, DataError, for_display

#: Lines that the separator is decided by, spread over the whole file.
_SAMPLE = 100


class Row(NamedTuple):
    """The fields of a line."""

    number: int
    fields: list[str]


class Separator(NamedTuple):
    """How the fields of a list are separated."""

    #: None stands for the last blank of a line.
    mark: Optional[str]
    #: How well the lines' fields name files, and how many lines have two fields.
    score: tuple[int, int]


def find_separator(file: Path, text: str, rank: Callable[[str], int]) -> Separator:
    """Return the separator with which most lines name a file.

    Args:
        file: the list; in ``.csv`` and ``.tsv`` a blank separates nothing.
        text: its content.
        rank: returns how well a field names a file; 0: it does not.
    """
    lines = [row.fields[0] for row in _lines(text)]
    step = -(-len(lines) // _SAMPLE) or 1
    sample = [*lines[:3], *lines[3::step]]
    marks: dict[str, list[Optional[str]]] = {
        ".csv": [",", ";", "\t", "|"],
        ".tsv": ["\t", ",", ";", "|"],
    }
    candidates = marks.get(file.suffix.lower(), ["\t", ",", ";", "|", None])
    return max(
        (Separator(mark, _score(sample, mark, rank)) for mark in candidates),
        key=lambda each: each.score,
    )


def split_rows(file: Path, text: str, mark: Optional[str]) -> list[Row]:
    """Split a list into fields; quotes work as in CSV.

    Blank lines, and lines that begin with ``#``, are left out. Of blanks the last one of a line
    separates, since a path may have blanks.

    Raises:
        DataError: it is no valid CSV.
    """
    if mark is None:
        return [Row(row.number, row.fields[0].strip().rsplit(None, 1)) for row in _lines(text)]
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        for fields in reader:
            fields = [field.strip() for field in fields]
            if any(fields) and fields[0][:1] != "#":
                rows.append(Row(reader.line_num, fields))
    except csv.Error as error:
        raise DataError(
            f"'{for_display(file, PATH_LIMIT)}' is no valid CSV: {for_display(error)}."
        ) from None
    return rows


def _lines(text: str) -> list[Row]:
    return [
        Row(number, [line])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and line.strip()[0] != "#"
    ]


def _score(sample: list[str], mark: Optional[str], rank: Callable[[str], int]) -> tuple[int, int]:
    """Return how well the lines' fields name files, and how many lines have two fields."""
    named = several = 0
    for line in sample:
        if mark is None:
            fields = line.strip().rsplit(None, 1)
        else:
            try:
                fields = next(csv.reader([line], delimiter=mark), [])
            except csv.Error:
                continue
        if len(fields) > 1:
            several += 1
            named += max(rank(field.strip()) for field in fields)
    return named, several
