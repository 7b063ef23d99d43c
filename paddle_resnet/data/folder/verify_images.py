"""Find damaged images before a training does: each file is decoded once, and that is remembered."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import numpy as np

from ...errors import DataError
from ...io.atomic_files import atomic_write_text, cache_folder
from ..prefetch import prefetch
from .dataset_index import DatasetIndex, counted
from .image_io import open_image

#: Seconds between two lines of progress.
_TELL = 10.0


def find_corrupt(
    listing: DatasetIndex, workers: int = 2, notify: Callable[[str], None] = print
) -> dict[Path, str]:
    """Decode every image and return those that cannot be: file to sentence.

    A file that was sound is not decoded again while its size and time of change stay the same; the
    list of those is kept in the cache.

    Args:
        listing: the files.
        workers: threads. Default: 2.
        notify: called with a line of progress, where it takes long.
    """
    known = _Known(listing.root)
    paths = sorted({path for part in listing.parts.values() for path in part.paths})
    new = [path for path in paths if not known.is_sound(path)]
    damaged: dict[Path, str] = {}
    told = time.monotonic()
    for done, (path, sentence) in enumerate(
        zip(new, prefetch(_complaint, new, workers, spare=64)), 1
    ):
        if sentence is None:
            known.remember(path)
        else:
            damaged[path] = sentence
        if time.monotonic() - told > _TELL:
            told = time.monotonic()
            notify(f"  {done:,} of {len(new):,} images checked")
    if len(new) > len(damaged):
        known.save()
    return damaged


def drop_corrupt(
    listing: DatasetIndex, damaged: dict[Path, str], skip: bool, most_shown: int = 5
) -> DatasetIndex:
    """Return the listing without the damaged files, and with a note for them.

    Raises:
        DataError: ``skip`` is off and there are any; or a whole class of the training part is
            damaged.
    """
    if not damaged:
        return listing
    sentences = [damaged[path] for path in sorted(damaged)]
    more = len(sentences) - most_shown
    shown_ones = " ".join(sentences[:most_shown]) + (f" And {more:,} more." if more > 0 else "")
    if not skip:
        raise DataError(
            f"{counted(len(damaged), 'damaged image')} among {len(listing):,}: {shown_ones} "
            "(data.on_corrupt=skip leaves them out.)"
        )
    parts = {}
    for name, part in listing.parts.items():
        sound = np.array([path not in damaged for path in part.paths], bool)
        parts[name] = part.take(np.flatnonzero(sound))
    lost = set(range(len(listing.classes))) - set(parts["train"].labels.tolist())
    if lost:
        raise DataError(
            f"every training image of '{listing.classes[min(lost)]}' is damaged: {shown_ones}"
        )
    notes = [*listing.notes, f"left out: {counted(len(damaged), 'damaged image')}. {shown_ones}"]
    return DatasetIndex(
        listing.root, listing.classes, {name: p for name, p in parts.items() if len(p)}, notes
    )


def _complaint(path: Path) -> Optional[str]:
    try:
        # At an eighth of its size a JPEG is read to its end all the same.
        open_image(path, least=1)
    except DataError as error:
        return str(error)
    return None


class _Known:
    """The files of a data set that were sound when they were last decoded."""

    def __init__(self, root: Path) -> None:
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        self.path = cache_folder() / "checked" / f"{name}.json"
        try:
            self.sound = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(self.sound, dict):
                raise ValueError
        except (OSError, ValueError, RecursionError):
            self.sound = {}

    def is_sound(self, path: Path) -> bool:
        return self.sound.get(self._key(path)) == self._state(path) is not None

    def remember(self, path: Path) -> None:
        self.sound[self._key(path)] = self._state(path)

    def save(self) -> None:
        """Keep the list; where that fails, the next start decodes again."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(self.path, json.dumps(self.sound))
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
