"""Files and folders that only this user and root can have written, for what is run as code."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_trusted_folder(folder: Path) -> None:
    """Create a folder, with its parents, that others cannot write to; mend one of this user's.

    Raises:
        OSError: it cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o022:
        folder.chmod(stat.S_IMODE(found.st_mode) & ~0o022)


def why_untrusted(path: Path) -> str:
    """Return why somebody else could have written a file or folder; an empty string if nobody.

    The owner must be this user or root, and neither group nor others may write. A link must have
    been made by one of the two as well.

    Raises:
        OSError: there is no such path.
    """
    found = path.stat()
    for owner in (path.lstat().st_uid, found.st_uid):
        if owner not in (os.geteuid(), 0):
            return f"belongs to another user (id {owner})"
    if found.st_mode & 0o022:
        return f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""
