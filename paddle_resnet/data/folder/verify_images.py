"""Find corrupt images before a training does: each file is decoded once, and that is remembered."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional, Union

import numpy as np

from ...errors import DataError
from ...formatting import counted
from ...io.atomic_files import atomic_write_text, cache_folder
from ..prefetch import prefetch
from .dataset_index import DatasetIndex
from .decoding.image_decoder import decode, read_content
from .decoding.value_range import Extremes
from .split_record import DIGITS

#: Seconds between two lines of progress.
_LOG_SECONDS = 10.0


class FileFacts(NamedTuple):
    """What decoding a valid image file shows."""

    #: First digits of the SHA-256 of its bytes, see `split_record.digest`.
    digest: str
    #: Set where its data set has to choose a value range for it.
    extremes: Optional[Extremes] = None


@dataclass
class Verified:
    """What decoding all files of a data set shows."""

    #: Corrupt files, each with a sentence.
    corrupt: dict[Path, str] = field(default_factory=dict)
    facts: dict[Path, FileFacts] = field(default_factory=dict)

    @property
    def extremes(self) -> dict[Path, Extremes]:
        """Return the files that a value range has to be chosen for."""
        return {p: each.extremes for p, each in self.facts.items() if each.extremes is not None}


def verify_images(
    paths: Iterable[Path],
    root: Path,
    workers: int = 2,
    notify: Callable[[str], None] = print,
) -> Verified:
    """Decode every image and return which are corrupt, and what the others are.

    A valid file is not decoded again while its size and time of change stay the same; what it
    showed is kept in the cache.

    Args:
        paths: the files.
        root: the data set; its name in the cache.
        workers: threads. Default: 2.
        notify: called with a line of progress, where it takes long.
    """
    known = _Known(root)
    result = Verified()
    new = []
    for path in sorted(set(paths)):
        facts = known.get(path)
        if facts is None:
            new.append(path)
        else:
            result.facts[path] = facts
    logged = time.monotonic()
    for done, (path, facts) in enumerate(zip(new, prefetch(_facts, new, workers, spare=64)), 1):
        if isinstance(facts, str):
            result.corrupt[path] = facts
        else:
            result.facts[path] = facts
            known.put(path, facts)
        if time.monotonic() - logged > _LOG_SECONDS:
            logged = time.monotonic()
            notify(f"  {done:,} of {len(new):,} images checked")
    if len(new) > len(result.corrupt):
        known.save()
    return result


def drop_corrupt(
    index: DatasetIndex, corrupt: dict[Path, str], skip: bool, most_shown: int = 5
) -> DatasetIndex:
    """Return the index without the corrupt files, and with a note for them.

    Raises:
        DataError: ``skip`` is off and there are any; or a whole class of the training split is
            corrupt.
    """
    if not corrupt:
        return index
    sentences = [corrupt[path] for path in sorted(corrupt)]
    more = len(sentences) - most_shown
    shown_ones = " ".join(sentences[:most_shown]) + (f" And {more:,} more." if more > 0 else "")
    if not skip:
        raise DataError(
            f"{counted(len(corrupt), 'corrupt image')} among {len(index):,}: {shown_ones} "
            "(data.on_corrupt=skip leaves them out.)"
        )
    splits = {}
    for name, files in index.splits.items():
        valid = np.array([path not in corrupt for path in files.paths], bool)
        splits[name] = files.take(np.flatnonzero(valid))
        lost = {*files.labels.tolist()} - {*splits[name].labels.tolist()}
        if lost and name == "train":
            raise DataError(
                f"every training image of '{index.classes[min(lost)]}' is corrupt: {shown_ones}"
            )
    notes = [*index.notes, f"left out: {counted(len(corrupt), 'corrupt image')}. {shown_ones}"]
    splits = {name: files for name, files in splits.items() if len(files)}
    return DatasetIndex(index.root, index.classes, splits, notes)


def _facts(path: Path) -> Union[FileFacts, str]:
    try:
        content = read_content(path)
        # At an eighth of its size a JPEG is read to its end all the same.
        decoded = decode(path, content, least=1)
    except DataError as error:
        return str(error)
    return FileFacts(hashlib.sha256(content).hexdigest()[:DIGITS], decoded.extremes())


class _Known:
    """The files of a data set that were valid when they were last decoded."""

    def __init__(self, root: Path) -> None:
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        self.path = cache_folder() / "verified" / f"{name}.json"
        try:
            self.rows = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(self.rows, dict):
                raise ValueError
        except (OSError, ValueError, RecursionError):
            self.rows = {}

    def get(self, path: Path) -> Optional[FileFacts]:
        """Return what a file showed, if it has not changed since."""
        state, row = self._state(path), self.rows.get(self._key(path))
        if state is None or not isinstance(row, list) or row[:2] != state:
            return None
        try:
            digest, *values = row[2:]
            int(digest, 16)
            extremes = Extremes(*map(float, values[:2]), *map(bool, values[2:])) if values else None
            return FileFacts(digest, extremes)
        except (TypeError, ValueError):  # not this module's file
            return None

    def put(self, path: Path, facts: FileFacts) -> None:
        """Remember a file."""
        self.rows[self._key(path)] = [
            *(self._state(path) or ()),
            facts.digest,
            *(facts.extremes or ()),
        ]

    def save(self) -> None:
        """Keep the list; where that fails, the next start decodes again."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(self.path, json.dumps(self.rows))
        except OSError:
            pass

    @staticmethod
    def _key(path: Path) -> str:
        return os.fsencode(path).decode("latin-1")

    @staticmethod
    def _state(path: Path) -> Optional[list[int]]:
        try:
            facts = path.stat()
        except OSError:
            return None
        return [facts.st_size, facts.st_mtime_ns]
