"""Which image files a run trained on, validated with and tested on: ``images.csv`` of its folder.

Files are known by their content, so a photo is found again where it was renamed or moved, and files
that came later do not change what a run's test images are.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

from ...errors import PATH_LIMIT, DataError, for_display
from ...io.atomic_files import atomic_write_bytes
from .file_walk import LeftOut, walk
from .open_dataset import find_files

_COLUMNS = ("path", "label", "split", "bytes", "sha256")
#: Hexadecimal digits that are kept of a SHA-256.
DIGITS = 32


class Recorded(NamedTuple):
    """A file as a run had it."""

    #: From the data set's folder; absolute where it lies elsewhere.
    path: str
    label: str
    split: str
    size: int
    digest: str


@dataclass
class Found:
    """Files of a record that are there now."""

    paths: list[Path] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    #: Files that are not there any more.
    missing: list[Recorded] = field(default_factory=list)
    #: How many of these have a file of their name, with other content.
    changed: int = 0
    #: How many were found under another name.
    moved: int = 0


def write_record(
    path: Path,
    root: Path,
    splits: Mapping[str, tuple[Sequence[Path], Sequence[str]]],
    digests: Mapping[Path, str],
) -> None:
    """Write a run's record.

    Args:
        path: the file.
        root: the data set's folder or list.
        splits: for each split its files and the names of their classes.
        digests: of the files, see `digest`.

    Raises:
        OSError: it cannot be written, or an image is not there any more.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    base = os.path.abspath(root if root.is_dir() else root.parent)
    for split, (paths, labels) in splits.items():
        for file, label in zip(paths, labels):
            name = os.path.abspath(file)
            inside = name.startswith(os.path.join(base, ""))
            name = os.path.relpath(name, base) if inside else name
            table.writerow((name, label, split, file.stat().st_size, digests[file]))
    atomic_write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_record(path: Path) -> Optional[list[Recorded]]:
    """Return a run's record; None where it has none, or one that is corrupt."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if tuple(rows[0]) != _COLUMNS:
            return None
        return [
            Recorded(name, label, split, int(n), sha) for name, label, split, n, sha in rows[1:]
        ]
    except (OSError, ValueError, IndexError, TypeError, csv.Error):
        return None


def find_recorded(record: Iterable[Recorded], root: Path) -> Found:
    """Find recorded files: where they were, else anywhere in the data set, by their content.

    Args:
        record: the wanted ones.
        root: the data set's folder or list now.

    Raises:
        DataError: there is nothing at ``root``.
    """
    if not root.exists():
        raise DataError(f"there is no folder or list '{for_display(root, PATH_LIMIT)}'.")
    base = root if root.is_dir() else root.parent
    found, lost, renamed = Found(), [], set()
    for row in record:
        path = base / row.path
        if _size(path) == row.size and digest(path) == row.digest:
            found.paths.append(path)
            found.labels.append(row.label)
        else:
            lost.append(row)
            renamed |= {row.digest} if path.exists() else set()
    if not lost:
        return found
    elsewhere = by_content(_files(root), lost)
    for row in lost:
        if row.digest in elsewhere:
            found.paths.append(elsewhere[row.digest])
            found.labels.append(row.label)
            found.moved += 1
        else:
            found.missing.append(row)
            found.changed += row.digest in renamed
    return found


def by_content(paths: Iterable[Path], record: Iterable[Recorded]) -> dict[str, Path]:
    """Return digest to file, for files whose content is in a record."""
    record = list(record)
    sizes, digests = {row.size for row in record}, {row.digest for row in record}
    found: dict[str, Path] = {}
    for path in paths:
        if _size(path) in sizes and (sha := digest(path)) in digests:
            found.setdefault(sha, path)
    return found


def digest(path: Path) -> str:
    """Return the first digits of the SHA-256 of a file; nothing where it cannot be read."""
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                sha.update(block)
    except OSError:
        return ""
    return sha.hexdigest()[:DIGITS]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError):
        return -1


def _files(root: Path) -> list[Path]:
    """Return all images of a data set, whatever split or class they are in."""
    if root.is_dir():
        return list(walk(root, LeftOut()))
    return [path for entries in find_files(root).entries.values() for path, _ in entries]
