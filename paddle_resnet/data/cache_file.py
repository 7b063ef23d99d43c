"""Our own copy of CIFAR-10: one file that loads, checksums included, in about half a second."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import atomic_write, with_home
from .fingerprint import Arrays

NAME = "cifar10.npy"
MAGIC = b"\x93NUMPY"


def cache_path() -> Path:
    """Return where the copy is kept.

    The folder is ``$PADDLE_RESNET_CACHE``, else ``$XDG_CACHE_HOME/paddle_resnet``, else
    ``~/.cache/paddle_resnet``, else (a user without a home, as in some containers) a folder in
    the system's place for temporary files.
    """
    folder = os.environ.get("PADDLE_RESNET_CACHE")
    if not folder:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
        folder = os.path.join(base, "paddle_resnet")
    found = with_home(folder)
    if found.parts[:1] == ("~",):
        found = Path(tempfile.gettempdir()) / f"paddle_resnet-{_user()}"
    return found / NAME


def _user() -> object:
    return os.getuid() if hasattr(os, "getuid") else "cache"


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
            raise DataError(f"{path} is damaged ({error}).") from error
