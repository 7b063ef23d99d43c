"""The last few checkpoints of a run, and the newest valid one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional

from ..errors import WeightsError
from .checkpoint_file import (
    Checkpoint,
    CorruptCheckpoint,
    UnreadableCheckpoint,
    load_checkpoint,
    write_checkpoint,
)

_NAME = re.compile(r"step-(\d+)\.safetensors")


class CheckpointFolder:
    """A folder of checkpoints, named by the number of steps done: ``step-00000128.safetensors``.

    Args:
        folder: where they are; made with the first one. Its parent must exist.
        keep: how many are kept. With two or more, one that is corrupt loses little. Default: 2.
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

    def newest(self, warn: Callable[[str], None]) -> Optional[Checkpoint]:
        """Return the newest checkpoint that can be read and is valid; None if there is none.

        Those before it are renamed to end in ``.corrupt``, with a warning.

        Raises:
            CorruptCheckpoint: there are some, and none can be used.
        """
        unusable: list[tuple[Path, WeightsError]] = []
        for path in self.files():
            try:
                checkpoint = load_checkpoint(path)
            except (CorruptCheckpoint, UnreadableCheckpoint) as error:
                unusable.append((path, error))
                continue
            for broken, error in unusable:
                warn(f"warning: {error} Resuming from the one before, '{path.name}'.")
                with suppress(OSError):
                    broken.rename(broken.with_suffix(".corrupt"))
            return checkpoint
        if unusable:
            raise CorruptCheckpoint(f"no checkpoint is left to resume from: {unusable[0][1]}")
        return None
