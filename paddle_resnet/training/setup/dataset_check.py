"""Checks on resume that the image files of a run are the same."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ...data.folder.image_files import ImageFiles
from ...data.splits import DataSplits
from ...errors import DataError, for_display


class DatasetCheck:
    """Compares names, sizes and labels of a run's image files with those before the interruption.

    Names are relative to the folder that holds all files of a split: it may move. Contents are not
    read, so a file that was overwritten by one of equal size is not noticed. Data sets in memory
    are verified when they are loaded.

    Args:
        splits: the run's data.
        log: takes a warning.
    """

    def __init__(self, splits: DataSplits, log: Callable[[str], None]) -> None:
        self.classes = splits.classes
        loaders = {"training": splits.train, "validation": splits.validation, "test": splits.test}
        self.loaders = {
            name: loader
            for name, loader in loaders.items()
            if loader is not None and isinstance(loader.images, ImageFiles)
        }
        self.log = log
        self._marks: dict[str, np.ndarray] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the classes, and by split a checksum for each file: uint32 [N]."""
        if not self._marks:  # once: it reads the size of each file
            self._marks = {
                name: marks(loader.images.paths, loader.labels)
                for name, loader in self.loaders.items()
            }
        return {"classes": self.classes, **self._marks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Log a warning if files differ from those of :meth:`state_dict`.

        Raises:
            DataError: their number or the classes differ.
        """
        now, before = dict(self.state_dict()), dict(state)
        if before.pop("classes") != now.pop("classes"):
            raise DataError(
                f"this run had the classes {_some(state['classes'])} so far, and now "
                f"{_some(self.classes)}: it can only be resumed with the data it began with."
            )
        for name, old in before.items():
            new = now.get(name, ())
            if len(old) != len(new):
                raise DataError(
                    f"this run had {len(old):,} {name} images in files so far, and now "
                    f"{len(new):,}: it can only be resumed with the data it began with."
                )
            others = np.flatnonzero(~np.isin(new, old))
            if len(others) or not np.array_equal(old, new):
                if len(others):
                    path = self.loaders[name].images.paths[others[0]]
                    what = f"{len(others):,} of the {len(new):,} {name} images are others"
                    what += f" than they were, such as '{path}'"
                else:
                    what = f"the {len(new):,} {name} images stand in another order than they did"
                self.log(
                    f"warning: {what}: the run uses them, but does not end as it would have "
                    "without the interruption."
                )


def marks(paths: list[Path], labels: np.ndarray) -> np.ndarray:
    """Return a checksum of name, size and label for each file: uint32 [N]."""
    root = os.path.commonpath([path.parent for path in paths])
    return np.array(
        [
            zlib.crc32(os.fsencode(f"{path.relative_to(root).as_posix()}:{_size(path)}:{label}"))
            for path, label in zip(paths, labels.tolist())
        ],
        np.uint32,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _some(names: list[str]) -> str:
    # Out of a checkpoint they may be of any length.
    return ", ".join(for_display(name, 40) for name in names[:5]) + (
        f", ... ({len(names)})" if len(names) > 5 else ""
    )
