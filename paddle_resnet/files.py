"""Files that are either whole or absent: write to a temporary neighbour, then rename."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Union

PathLike = Union[str, "os.PathLike[str]"]


@contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` only once it is whole and on the disk.

    A reader sees the old file or the new one, never a part, and of several writers at once the
    last one wins. A failure inside the block leaves ``path`` as it was and no other file behind.

    Args:
        path: The file to write. Its folder must exist. A symbolic link is written through.

    Yields:
        A binary file, open for writing.

    Raises:
        OSError: No permission, no such folder, or no space left.
    """
    target = Path(os.path.realpath(path))
    # In the same folder, since a rename is atomic only within one file system.
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        # Not `tempfile`: its files are for their owner alone, whatever the umask says.
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def atomic_write_bytes(path: PathLike, content: bytes) -> None:
    """Write ``content`` as the whole of ``path``; see `atomic_write`."""
    with atomic_write(path) as file:
        file.write(content)


def atomic_write_text(path: PathLike, content: str) -> None:
    """Write ``content`` as UTF-8 with ``\\n`` line ends on every system; see `atomic_write`."""
    atomic_write_bytes(path, content.encode("utf-8"))


def atomic_write_json(path: PathLike, content: object) -> None:
    """Write ``content`` as indented JSON; see `atomic_write`.

    Raises:
        ValueError: ``content`` holds NaN or an infinity, which JSON has no word for.
        TypeError: ``content`` holds something that is not JSON.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(path, text + "\n")
