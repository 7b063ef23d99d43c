"""What the parts of one run share: its folder, its pace, its batches, and what it tells people."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ..distributed.collectives import is_rank0
from ..errors import TrainingError
from ..training.loop.batch_stream import BatchStream
from ..training.loop.progress import Progress
from .run_folder import RunFolder


@dataclass
class RunWriter:
    """One run, as its callbacks see it."""

    folder: RunFolder
    pace: Progress
    stream: BatchStream
    #: Takes a sentence for people.
    say: Callable[[str], None] = print
    #: Whether a file that cannot be written ends the training.
    stop_on_write_error: bool = False
    #: Why the newest version of a file could not be written, by path.
    failed: dict[Path, str] = field(default_factory=dict)

    def write(self, path: Path, write: Callable[[Path], Any], consequence: str = "") -> bool:
        """Write a file of the run; report it where that fails.

        Of several processes the first one writes, and the others take it for done.

        Each trouble is told once, not at every attempt, until the file could be written again.

        Args:
            path: the file.
            write: writes it; called with the path.
            consequence: what the failure means, for the sentence.

        Returns:
            bool: whether it was written.

        Raises:
            TrainingError: it was not, and the recipe wants the training to stop then.
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

    def _report(self, path: Path, reason: str, consequence: str) -> None:
        if self.folder.is_deleted():
            reason = "the run folder was removed"
        known = reason in self.failed.values() if self.folder.is_deleted() else path in self.failed
        self.failed[path] = reason
        sentence = f"cannot write '{path}': {reason}"
        if self.stop_on_write_error:
            raise TrainingError(
                f"{sentence}; training stopped after step {self.pace.steps}, as run.write_errors "
                "asks. What was saved before is sound."
            )
        if not known:
            consequence = f" {consequence}" if consequence else ""
            self.say(f"warning: {sentence}.{consequence} Training goes on.")
