"""The last few checkpoints of a run, and the newest of them that is sound."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional

from .checkpoint_file import CorruptCheckpoint, read_checkpoint, write_checkpoint

_NAME = re.compile(r"step-(\d+)\.safetensors")


class CheckpointFolder:
    """A folder of checkpoints, named by the number of steps done: ``step-00000128.safetensors``.

    Args:
        folder: where they are; made with the first one. Its parent must exist.
        keep: how many to keep. Two or more, so that a damaged one does no harm. Default: 2.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def files(self) -> list[Path]:
        """Return the files, the newest first."""
        try:
            found = [(_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [p for _, p in sorted(((int(m[1]), p) for m, p in found if m), reverse=True)]

    def write(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, then remove those that are too old.

        Raises:
            OSError: it cannot be written; the older ones stay.
        """
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"step-{step:08d}.safetensors"
        write_checkpoint(path, state)
        for old in self.files()[self.keep :]:
            with suppress(OSError):
                old.unlink()
        return path

    def newest(self, warn: Callable[[str], None]) -> Optional[tuple[Path, dict[str, Any]]]:
        """Return the newest sound checkpoint and its state; None where none was ever written.

        Damaged ones are set aside (renamed to end in ``.damaged``), with a warning.

        Raises:
            CorruptCheckpoint: there are some, and none of them is sound.
        """
        files, damaged = self.files(), []
        for path in files:
            try:
                state = read_checkpoint(path)
            except CorruptCheckpoint as error:
                damaged.append((path, error))
                continue
            for broken, error in damaged:
                warn(f"warning: {error} Going on from the one before, '{path.name}'.")
                with suppress(OSError):
                    broken.rename(broken.with_suffix(".damaged"))
            return path, state
        if damaged:
            raise CorruptCheckpoint(f"no checkpoint is left to go on from: {damaged[0][1]}")
        return None
