"""One process at a time in a folder; the system lifts the lock when the process dies."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import ClassVar, Optional

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class FolderLock:
    """An exclusive lock on a file.

    Args:
        path: the file; made where there is none, and left there.
    """

    # The system's locks are between processes: within this one we keep count ourselves.
    _held: ClassVar[set[str]] = set()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: Optional[int] = None

    def acquire(self) -> None:
        """Take the lock, or fail at once. Taking it twice is taking it once.

        Raises:
            BlockingIOError: somebody else holds it.
            OSError: the file cannot be written.
        """
        if self._handle is not None:
            return
        name = os.path.realpath(self.path)
        if name in self._held:
            raise BlockingIOError(f"{name} is locked by this process")
        handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                # lockf and not flock: a forked worker that outlives this process does not
                # inherit it.
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            os.close(handle)
            raise BlockingIOError(str(error)) from None
        except OSError as error:
            # Some network file systems have no locks: better to train unguarded than not at all.
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                os.close(handle)
                raise
        self._handle = handle
        self._held.add(name)

    def release(self) -> None:
        """Give the lock back; nothing where it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            self._held.discard(os.path.realpath(self.path))
