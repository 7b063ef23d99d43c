"""Which image files there are, of which class, in which split of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

from ...errors import PATH_LIMIT, DataError, did_you_mean, for_display

#: The splits, and how people call them.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


@dataclass
class SplitFiles:
    """The files of one split."""

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
    """A data set of image files whose classes are numbered."""

    #: What it was read from: a folder or a list.
    root: Path
    classes: list[str]
    #: ``train``, and ``validation`` and ``test`` where the data set has them.
    splits: dict[str, SplitFiles]
    #: What a user should know about it: a sentence each.
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    @property
    def paths(self) -> list[Path]:
        """Return the files of all splits."""
        return [path for files in self.splits.values() for path in files.paths]


@dataclass
class FoundFiles:
    """Image files and the names of their classes, as a folder or a list has them."""

    root: Path
    #: For each split, files and the names of their classes.
    entries: dict[str, list[tuple[Path, str]]]
    #: Sentences about what is there.
    notes: list[str] = field(default_factory=list)
    #: Sentences about what is not: an error that may come from that repeats them.
    left_out: list[str] = field(default_factory=list)
    #: Class names in the order of their numbers, where the data set numbers them.
    order: Optional[list[str]] = None
    #: Why there is no training split, where somebody who trains should know.
    no_train: str = ""

    def for_training(self) -> DatasetIndex:
        """Number the classes of the training split, and check the other splits against them.

        Raises:
            DataError: there are no training images, or only one class of them; or another split
                has a class that training has not.
        """
        name = for_display(self.root, PATH_LIMIT)
        train = self.entries.get("train")
        if not train:
            raise DataError(self.no_train or f"'{name}' holds no training images." + self.why())
        classes = self._in_order({label for _, label in train})
        if len(classes) == 1:
            raise DataError(
                f"'{name}' has only one class, '{for_display(classes[0])}': a classifier needs "
                "two, each a folder of images (or a label of a list)." + self.why()
            )
        index = self._numbered(self.entries, classes)
        for split, files in index.splits.items():
            missing = sorted(set(range(len(classes))) - set(files.labels.tolist()))
            if missing:
                absent = some([classes[number] for number in missing])
                index.notes.append(f"the {split} split has no image of {absent}.")
        return index

    def for_evaluation(self, classes: Sequence[str], knows: str) -> DatasetIndex:
        """Number the files by classes that are given, whatever splits and classes there are.

        Args:
            classes: the names.
            knows: whose classes they are, for the sentence of an error.

        Raises:
            DataError: there are no images, or a class is not among the given ones.
        """
        if not any(self.entries.values()):
            raise DataError(f"'{for_display(self.root, PATH_LIMIT)}' holds no images." + self.why())
        return self._numbered(self.entries, list(classes), knows)

    def why(self) -> str:
        """Return what was left out, as sentences that an error ends with."""
        return "".join(f" {sentence}" for sentence in self.left_out)

    def _in_order(self, names: set[str]) -> list[str]:
        """Sort by the data set's own numbers, else numbers by value and names as Python does."""
        if self.order is not None and names <= set(self.order):
            return [name for name in self.order if name in names]
        if all(name.isascii() and name.isdigit() for name in names):
            return sorted(names, key=lambda name: (int(name), name))
        return sorted(names)

    def _numbered(
        self,
        entries: Mapping[str, Sequence[tuple[Path, str]]],
        classes: list[str],
        knows: str = "",
    ) -> DatasetIndex:
        numbers = {name: number for number, name in enumerate(classes)}
        numbers.update({for_display(name): number for number, name in enumerate(classes)})
        splits = {}
        for split, files in entries.items():
            # A network's classes are printable; a folder's name need not be.
            labels = [numbers.get(name, numbers.get(for_display(name), -1)) for _, name in files]
            if -1 in labels:
                strange = files[labels.index(-1)][1]
                near = did_you_mean(for_display(strange), map(for_display, classes))
                whose = f"which {knows} does not know: it knows" if knows else ""
                raise DataError(
                    f"the {split} split of '{for_display(self.root, PATH_LIMIT)}' has the class "
                    f"'{for_display(strange)}', "
                    f"{whose or 'which the training split has not: it has'} {some(classes)}.{near}"
                )
            if files:
                splits[split] = SplitFiles([path for path, _ in files], np.array(labels, np.int64))
        return DatasetIndex(
            self.root,
            [for_display(name) for name in classes],
            splits,
            [*self.notes, *self.left_out],
        )


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names of a list, quoted, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{for_display(name)}'" for name in names[:most]) + more
