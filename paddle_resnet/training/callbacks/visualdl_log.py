"""VisualDL's log as one file that an interrupted run goes on with."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, Callable

from ...files import cut, sync


class VisualDLLog:
    """Writes scalars; does nothing where VisualDL cannot be used.

    Args:
        folder: for ``vdlrecords.*.log``.
        warn: takes a sentence about what does not work; training goes on.
    """

    #: One name for all processes of a run: VisualDL shows one file of a folder only.
    NAME = "vdlrecords.run.log"

    def __init__(self, folder: Path, warn: Callable[[str], None] = print) -> None:
        self.path = folder / self.NAME
        self.warn = warn
        self.working = True
        self._writer: Any = None

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Add a point."""
        self._do(lambda writer: writer.add_scalar(tag=tag, step=step, value=float(value)))

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._writer is not None:
            self._do(lambda writer: writer.close())
            self._writer = None

    def state(self) -> dict[str, Any]:
        """Return how long the file is now."""
        if self._writer is not None:
            self._do(lambda writer: writer._get_file_writer().flush())
        return {"size": sync(self.path) if self.path.parent.is_dir() else 0}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on at that length: later points will be written again."""
        if self.path.is_file():
            cut(self.path, int(state["size"]))

    def _do(self, action: Callable[[Any], Any]) -> None:
        if not self.working:
            return
        try:
            if self._writer is None:
                from visualdl import LogWriter

                # It says that it will add to the file: what is wanted.
                with contextlib.redirect_stdout(io.StringIO()):
                    self._writer = LogWriter(logdir=str(self.path.parent), file_name=self.NAME)
            action(self._writer)
        except Exception as error:  # a viewer's log must not stop a training
            self.working, self._writer = False, None
            reason = getattr(error, "strerror", None) or error
            self.warn(
                f"warning: VisualDL's log cannot be written ({reason}); the JSON lines hold the "
                "same figures."
            )
