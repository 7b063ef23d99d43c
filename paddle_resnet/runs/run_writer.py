"""Writes the files of a run; a failure is reported once and does not end the training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ..distributed.collectives import is_rank0
from ..errors import TrainingError
from .run_folder import RunFolder


@dataclass
class RunWriter:
    """Writes into the folder of one run."""

    folder: RunFolder
    #: Takes a line for people.
    log: Callable[[str], None] = print
    #: Whether a file that cannot be written ends the training.
    stop_on_write_error: bool = False
    #: Why the newest version of a file could not be written, by path.
    failed: dict[Path, str] = field(default_factory=dict)

    def write(self, path: Path, write: Callable[[Path], Any], consequence: str = "") -> bool:
        """Write a file on rank 0; on other ranks, assume that it was written.

        A write error is logged once per file; a successful write resets this.

        Args:
            path: the file.
            write: writes it; called with the path.
            consequence: what the failure means, for the sentence.

        Returns:
            bool: whether it was written.

        Raises:
            TrainingError: it was not, and the recipe asks to stop then.
        """
        if not is_rank0():
            return True
        try:
            write(path)
        except OSError as error:
            self._report(path, error.strerror or str(error), consequence)
            return False
        self.failed.pop(path, None)
        return True

    def write_last(self, path: Path, write: Callable[[Path], Any]) -> None:
        """Write one of the files that end a run; a failure must not hide the run's outcome."""
        if not is_rank0():
            return
        try:
            write(path)
        except OSError as error:
            self.failed[path] = error.strerror or str(error)

    def _report(self, path: Path, reason: str, consequence: str) -> None:
        is_deleted = self.folder.is_deleted()
        if is_deleted:
            reason = "the run folder was removed"
        known = reason in self.failed.values() if is_deleted else path in self.failed
        self.failed[path] = reason
        sentence = f"cannot write '{path}': {reason}"
        if self.stop_on_write_error:
            raise TrainingError(
                f"{sentence}; training stopped, as run.on_write_error asks. What was saved before "
                "is valid."
            )
        if not known:
            consequence = f" {consequence}" if consequence else ""
            self.log(f"warning: {sentence}.{consequence} Training continues.")
