"""Lines of a list as fields: the separator is decided by all of the file, not by its first line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional

from ...errors import DataError, shown
from .image_decoder import PATH_LIMIT

#: Lines that the separator is decided by, spread over the whole file.
_SAMPLE = 100


class Row(NamedTuple):
    """The fields of a line."""

    number: int
    fields: list[str]


def split_rows(file: Path, text: str, rank: Callable[[str], int]) -> list[Row]:
    """Split a list into fields, by the separator with which most lines name a file.

    Blank lines, and lines that begin with ``#``, are left out. Quotes work as in CSV. In ``.txt``
    a blank can be the separator: the last one of a line, since a path may have blanks.

    Args:
        file: for its suffix and for errors.
        text: its content.
        rank: tells how well a field names a file; 0: it does not.

    Raises:
        DataError: it is no valid CSV.
    """
    lines = [
        Row(number, [line])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and line.strip()[0] != "#"
    ]
    step = -(-len(lines) // _SAMPLE) or 1
    sample = [row.fields[0] for row in (*lines[:3], *lines[3::step])]
    suffix = file.suffix.lower()
    candidates: list[Optional[str]] = {
        ".csv": [",", ";", "\t", "|"],
        ".tsv": ["\t", ",", ";", "|"],
    }.get(suffix, ["\t", ",", ";", "|"])
    if suffix not in (".csv", ".tsv"):
        candidates.append(None)  # blanks
    scores = [_score(sample, mark, rank) for mark in candidates]
    mark = candidates[scores.index(max(scores))]
    if mark is None:
        return [Row(number, fields[0].strip().rsplit(None, 1)) for number, fields in lines]
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        for fields in reader:
            fields = [field.strip() for field in fields]
            if any(fields) and fields[0][:1] != "#":
                rows.append(Row(reader.line_num, fields))
    except csv.Error as error:
        raise DataError(f"'{shown(file, PATH_LIMIT)}' is no valid CSV: {shown(error)}.") from None
    return rows


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
