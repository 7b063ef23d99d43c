"""Our own copy of CIFAR-10: one file that loads, checksums included, in about half a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import PATH_LIMIT, DataError, for_display
from ...io.atomic_files import atomic_write, cache_folder
from .fingerprint import Arrays

NAME = "cifar10.npy"
MAGIC = b"\x93NUMPY"


def cache_path() -> Path:
    """Return where the copy is kept, in :func:`paddle_resnet.io.atomic_files.cache_folder`."""
    return cache_folder() / NAME


def write(path: Path, arrays: Arrays) -> None:
    """Write the four arrays, one after the other, each as `numpy.save` does, in one atomic step.

    Not an .npz: its zip container would double the time to load.

    Raises:
        OSError: No permission, or no space left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        for array in arrays:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def read(path: Path) -> Arrays:
    """Read what `write` wrote, unverified.

    Raises:
        OSError: The file is missing or unreadable.
        DataError: It is truncated or something else.
    """
    with path.open("rb") as file:
        try:
            return Arrays(*(np.load(file, allow_pickle=False) for _ in Arrays._fields))
        except (ValueError, EOFError, MemoryError) as error:
            raise DataError(
                f"{for_display(path, PATH_LIMIT)} is corrupt ({for_display(error)})."
            ) from error
