"""CIFAR-100 from the first source that has it, verified.

No public package is known that contains it. Without a connection to Paddle's server, the user's
own copy of the official archive is needed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from ...errors import PATH_LIMIT, DataError, for_display
from ...io.atomic_files import PathLike, atomic_write_bytes, cache_folder
from . import pickled_batches
from .archives import ArchiveFiles, find, read_members
from .cifar10 import DATA_VARIABLE, Notify
from .sources import disk
from .sources.paddle_download import fetch_archive

ARCHIVE = "cifar-100-python.tar.gz"
FOLDER = "cifar-100-python"
#: MD5 of the official files, as torchvision publishes them. Against damage, not against forgery:
#: a forged file could hold other images, but can run nothing here.
MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
# The largest real file has 155 MB.
CONTENTS = ArchiveFiles("CIFAR-100", tuple(MD5), (FOLDER, ARCHIVE), 200 * 2**20, 512 * 2**20)
CACHE = "the verified copy in the cache"


@dataclass(frozen=True, eq=False)
class Cifar100Data:
    """CIFAR-100 in memory."""

    train_images: np.ndarray  # uint8 [50000, 3, 32, 32]
    train_labels: np.ndarray  # int64 [50000]
    test_images: np.ndarray  # uint8 [10000, 3, 32, 32]
    test_labels: np.ndarray  # int64 [10000]
    source: str  # where it came from, for people; never a whole path
    classes: tuple[str, ...]  # 100 names; 20 where the coarse labels were asked for


@dataclass(frozen=True)
class Fetched100:
    """What `fetch_cifar100` has done."""

    source: str
    path: Path
    size: int
    written: bool
    images: dict[str, int]
    md5: dict[str, str]


def load_cifar100(
    root: Optional[PathLike] = None,
    download: bool = True,
    coarse: bool = False,
    notify: Notify = print,
) -> Cifar100Data:
    """Load CIFAR-100 from the first source that has it, whole and verified.

    Sources, in this order: ``root`` or the environment variable ``PADDLE_RESNET_DATA``, where one
    is given, and then no other; our cache, Paddle's dataset cache, AI Studio's mounted data;
    Paddle's official download. What was not in our cache is kept there.

    Args:
        root: The official ``cifar-100-python.tar.gz``, its unpacked folder, or a folder that holds
            one of these.
        download: Whether the network may be used. Default: yes.
        coarse: Take the 20 superclasses as labels. Default: the 100 classes.
        notify: Called with each line that the user should see.

    Raises:
        DataError: ``root`` is missing, corrupt or not CIFAR-100; or no source has it. The message
            then names every source and its failure.
    """
    members, source = _find(root, download, notify)
    if source != CACHE:
        try:
            _keep(members)
        except OSError as error:
            notify(f"Notice: no copy could be kept in {_cache()} ({error.strerror or error}).")
    return decode(members, source, coarse)


def fetch_cifar100(
    root: Optional[PathLike] = None, download: bool = True, notify: Notify = print
) -> Fetched100:
    """Put a verified copy of CIFAR-100 into our cache, unless a good one is there.

    Raises:
        DataError: No source had it, or the cache cannot be written.
    """
    members, source = _find(root, download, notify)
    if source != CACHE:
        try:
            _keep(members)
        except OSError as error:
            raise DataError(
                f"CIFAR-100 was found, but {_cache()} cannot be written: "
                f"{error.strerror or error}. The variable PADDLE_RESNET_CACHE can name another "
                "folder."
            ) from error
    data = decode(members, source)
    return Fetched100(
        source=source,
        path=_cache(),
        size=sum(map(len, members.values())),
        written=source != CACHE,
        images={"train": len(data.train_images), "test": len(data.test_images)},
        md5=dict(MD5),
    )


def decode(members: dict[str, bytes], source: str, coarse: bool = False) -> Cifar100Data:
    """Decode the files ``train``, ``test`` and ``meta``.

    Raises:
        DataError: one of them is not what it should be.
    """
    kind, count = ("coarse", 20) if coarse else ("fine", 100)
    splits, name = {}, "meta"
    try:
        classes = pickled_batches.read_names(members["meta"], f"{kind}_label_names")
        if len(classes) != count:
            raise DataError(f"it names {len(classes)} classes, not {count}.")
        for name in ("train", "test"):
            splits[name] = pickled_batches.read_batch(members[name], count, f"{kind}_labels")
    except DataError as error:
        raise DataError(f"{name} of CIFAR-100 was refused: {error}") from None
    return Cifar100Data(
        splits["train"][0],
        splits["train"][1].astype(np.int64),
        splits["test"][0],
        splits["test"][1].astype(np.int64),
        source,
        tuple(classes),
    )


def read(path: Path) -> dict[str, bytes]:
    """Read and verify the three official files.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
        DataError: It cannot be read, or is not CIFAR-100 to the last bit.
    """
    path = find(path, CONTENTS)
    members = read_members(path, CONTENTS)
    missing = [name for name in MD5 if name not in members]
    if missing:
        raise DataError(f"{for_display(path, PATH_LIMIT)} lacks {', '.join(missing)}.")
    for name, expected in MD5.items():
        found = hashlib.md5(members[name], usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError(
                f"{name} in {for_display(path, PATH_LIMIT)} is corrupt or was changed: its "
                f"md5 is {found}, expected {expected}."
            )
    return members


def _find(root: Optional[PathLike], download: bool, notify: Notify) -> tuple[dict[str, bytes], str]:
    given = os.fspath(root) if root is not None else os.environ.get(DATA_VARIABLE, "")
    if given:
        try:
            path = Path(given).expanduser()
            return read(path), f"the given {for_display(path.resolve().name)}"
        except (FileNotFoundError, DataError) as error:
            raise DataError(
                f"CIFAR-100 cannot be loaded from {for_display(given, PATH_LIMIT)}: {error}"
            ) from error
    sources: list[tuple[str, Callable[[], dict[str, bytes]]]] = [
        (CACHE, lambda: read(_cache())),
        ("Paddle's dataset cache", lambda: read(disk.paddle_cache() / ARCHIVE)),
        ("AI Studio's mounted data", lambda: read(disk.on_ai_studio(ARCHIVE, FOLDER))),
    ]
    if download:
        sources.append(("Paddle's download", lambda: _download(notify)))
    failures = []
    for source, load in sources:
        try:
            return load(), source
        except (DataError, OSError) as error:
            failures.append(f"{source}: {error}")
            # A source that exists and fails is logged: the user may rely on it.
            if not isinstance(error, FileNotFoundError):
                notify(f"CIFAR-100 cannot be taken from {source}: {error}")
    if not download:
        failures.append("the network: not allowed")
    raise DataError(
        "CIFAR-100 was not found. Tried: "
        + " | ".join(failures)
        + f" | Get the official {ARCHIVE} and name it: -o data.root=PATH, or "
        "paddle-resnet data cifar100 --from PATH."
    )


def _download(notify: Notify) -> dict[str, bytes]:
    try:
        from paddle.vision.datasets.cifar import CIFAR100_URL
    except ImportError:
        raise DataError("PaddlePaddle is not installed, so its address is unknown.") from None
    with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as folder:
        return read(fetch_archive(CIFAR100_URL, Path(folder) / ARCHIVE, "CIFAR-100", notify))


def _cache() -> Path:
    return cache_folder() / FOLDER


def _keep(members: dict[str, bytes]) -> None:
    _cache().mkdir(parents=True, exist_ok=True)
    for name, content in members.items():
        atomic_write_bytes(_cache() / name, content)
