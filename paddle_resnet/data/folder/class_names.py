"""Names of classes that a list gives as numbers: ``label_list.txt``, ``labels.txt``, ...."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple, Optional

from ...errors import for_display
from .text_encoding import read_text

_FILES = ("label_list.txt", "labels.txt", "label.txt", "classes.txt", "class_names.txt")
_MOST_BYTES = 16 * 2**20


class ClassNames(NamedTuple):
    """What the numbers of a list mean."""

    #: Number, as the list has it, to name, in the order of the numbers.
    names: dict[str, str]
    note: str


#: Spreadsheets and pandas write whole numbers as 1.0.
_NUMBER = re.compile(r"\d+(\.0+)?", re.ASCII)


def _number(label: str) -> int:
    return int(label.split(".")[0])


def find_class_names(folder: Path, labels: Collection[str]) -> Optional[ClassNames]:
    """Return the names of numbered classes, where a file beside the list has them.

    Paddle's tools write a line a class: the name alone (numbered from 0), or number and name.

    Args:
        folder: of the list.
        labels: all labels of the list.

    Returns:
        ClassNames or None: None where the labels are names, or there is no such file. A file that
        lacks a number is not used, and the note says so.
    """
    if not all(_NUMBER.fullmatch(label) for label in labels):
        return None
    for name in _FILES:
        file = folder / name
        if file.is_file():
            table = _read(file, labels)
            missing = sorted({_number(label) for label in labels} - set(table))
            if missing:
                note = (
                    f"'{for_display(name)}' does not name the class {missing[0]}: it is not read."
                )
                return ClassNames({}, note)
            numbers = sorted({_number(label): label for label in labels}.items())
            again = [table[number] for number, _ in numbers]
            return ClassNames(
                {
                    label: table[n] if again.count(table[n]) == 1 else f"{table[n]} ({n})"
                    for n, label in numbers
                },
                f"the classes' names are those of '{for_display(name)}'.",
            )
    return None


def _read(file: Path, labels: Collection[str]) -> dict[int, str]:
    """Return number to name."""
    lines = [line.strip() for line in read_text(file, _MOST_BYTES)[0].content.splitlines()]
    lines = [line for line in lines if line]
    for pattern in (r"(?P<n>\d+)[\s,:]+(?P<name>.*\S)", r"(?P<name>.*\S)[\s,:]+(?P<n>\d+)"):
        found = [re.fullmatch(pattern, line, re.ASCII) for line in lines]
        if all(found) and len({int(each["n"]) for each in found}) == len(found):
            return {int(each["n"]): each["name"] for each in found}
    numbers = {_number(label) for label in labels}
    first = 1 if min(numbers) >= 1 and max(numbers) == len(lines) else 0
    return dict(enumerate(lines, first))
