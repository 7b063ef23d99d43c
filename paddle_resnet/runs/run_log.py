"""Lines for people: printed, and kept in the run's log.txt."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Optional

from ..io.atomic_files import utf8


class RunLog:
    """Prints lines and keeps them in a file, with the time in front.

    Lines that come before the file is known are written once it is.

    Args:
        silent: do neither, as on all ranks but rank 0.
    """

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self._path: Optional[Path] = None
        self._waiting = ""
        self._warned = False

    def open(self, path: Path) -> None:
        """Set the file, and write the lines that came before."""
        self._path = path
        self._append(self._waiting)
        self._waiting = ""

    def __call__(self, line: str) -> None:
        """Print a line and keep it."""
        if not self.silent:
            print(line, flush=True)
        self.keep(line)

    def keep(self, line: str) -> None:
        """Keep a line without printing it."""
        if self.silent:
            return
        text = f"{time.strftime('%H:%M:%S')} {line}\n"
        if self._path is None:
            self._waiting += text
        else:
            self._append(text)

    def _append(self, text: str) -> None:
        try:
            with open(self._path, "ab") as file:
                file.write(utf8(text))
        except OSError as error:
            # A full disk must not end a training over its log. A folder that was removed is
            # reported by those who lose more than a line.
            if not self._warned and self._path.parent.exists():
                self._warned = True
                print(f"warning: cannot write '{self._path}': {error.strerror or error}.")
