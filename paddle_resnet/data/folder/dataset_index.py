"""Which image files there are, of which class, in which part of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import DataError
from .image_io import for_display

#: The parts, and how people call them.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


@dataclass
class SplitFiles:
    """The files of one part."""

    paths: list[Path]
    #: Index into the classes, int64 [N].
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> SplitFiles:
        """Return some of the files."""
        return SplitFiles([self.paths[i] for i in indices], self.labels[indices])


@dataclass
class DatasetIndex:
    """A data set of image files."""

    #: What it was read from: a folder or a list.
    root: Path
    classes: list[str]
    #: ``train``, and ``validation`` and ``test`` where the data set has them.
    parts: dict[str, SplitFiles]
    #: What a user should know about it: a sentence each.
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))


def build(
    root: Path, entries: dict[str, Sequence[tuple[Path, str]]], notes: list[str]
) -> DatasetIndex:
    """Number the classes that training knows, and see to it that the parts agree.

    Args:
        root: what was read.
        entries: for each part, files and the names of their classes.
        notes: sentences so far; those about classes are added.

    Raises:
        DataError: there are no training images, or only one class of them; or another part has a
            class that training has not.
    """
    if not entries.get("train"):
        raise DataError(f"'{for_display(root)}' holds no training images.")
    names = sorted({name for _, name in entries["train"]}, key=_natural(entries["train"]))
    if len(names) == 1:
        raise DataError(
            f"'{for_display(root)}' has only one class, '{for_display(names[0])}': "
            "a classifier needs two, each a folder of images (or a label of a list)."
        )
    numbers = {name: number for number, name in enumerate(names)}
    parts = {}
    for part, files in entries.items():
        strange = sorted({name for _, name in files} - set(numbers))
        if strange:
            raise DataError(
                f"the {part} part of '{for_display(root)}' has the class "
                f"'{for_display(strange[0])}', which the training part has not "
                f"(it has {_some(names)})."
            )
        if not files:
            continue
        labels = np.array([numbers[name] for _, name in files], np.int64)
        absent = [name for name in names if numbers[name] not in set(labels.tolist())]
        if absent:
            notes.append(f"the {part} part has no image of {_some(absent)}.")
        parts[part] = SplitFiles([path for path, _ in files], labels)
    return DatasetIndex(root, [for_display(name) for name in names], parts, notes)


def counted(number: int, noun: str) -> str:
    """Return ``1 image`` or ``2 images``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _natural(files: Sequence[tuple[Path, str]]):
    """Sort numbers by value, names as Python and other readers of folders do."""
    numeric = all(name.isascii() and name.isdigit() for _, name in files)
    return (lambda name: (int(name), name)) if numeric else (lambda name: (0, name))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{for_display(name)}'" for name in names[:5]) + more
