"""Files that are either whole or absent: write to a temporary neighbour, then rename."""

from __future__ import annotations

import json
import os
import tempfile
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
        _sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk; some systems and file systems cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def with_home(path: PathLike) -> Path:
    """Return a path with a leading ``~`` replaced, where the system knows a home folder."""
    # Not `Path.expanduser`, which raises RuntimeError for a user whom the system does not know.
    return Path(os.path.expanduser(path))


def cache_folder() -> Path:
    """Return the folder for what can be had again: data, published weights, the built operator.

    It is ``$PADDLE_RESNET_CACHE``, else ``$XDG_CACHE_HOME/paddle_resnet``, else
    ``~/.cache/paddle_resnet``, else (a user without a home, as in some containers) a folder in
    the system's place for temporary files. It may not exist yet.
    """
    folder = os.environ.get("PADDLE_RESNET_CACHE")
    if not folder:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
        folder = os.path.join(base, "paddle_resnet")
    found = with_home(folder)
    if found.parts[:1] == ("~",):
        user = os.getuid() if hasattr(os, "getuid") else "cache"
        found = Path(tempfile.gettempdir()) / f"paddle_resnet-{user}"
    return found


def append_text(path: PathLike, text: str) -> None:
    """Append ``text`` as UTF-8: all of it, or nothing where there is no room.

    Raises:
        OSError: No permission, no such folder, or no space left.
    """
    with open(path, "ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        content = text.encode("utf-8")
        try:
            while content:
                content = content[file.write(content) :]
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise


def cut(path: PathLike, size: int) -> int:
    """Shorten a file to ``size`` bytes, where it is longer; make an empty one where there is none.

    Returns:
        int: its size now, which is less than ``size`` where it was shorter.

    Raises:
        OSError: No permission, or no such folder.
    """
    with open(path, "ab") as file:
        if file.tell() > size:
            file.truncate(size)
            os.fsync(file.fileno())
        return min(file.tell(), size)


def sync(path: PathLike) -> int:
    """Bring what was appended to a file to the disk and return its size; 0 where there is none.

    Raises:
        OSError: It cannot be written.
    """
    try:
        with open(path, "ab") as file:
            os.fsync(file.fileno())
            return file.tell()
    except FileNotFoundError:
        return 0


def atomic_write_bytes(path: PathLike, content: bytes) -> None:
    """Write ``content`` as the whole of ``path``; see `atomic_write`."""
    with atomic_write(path) as file:
        file.write(content)


def utf8(text: str) -> bytes:
    """Return text as UTF-8, whatever names of files are in it.

    Python keeps the bytes of a name that the system's encoding does not know as surrogates; most
    often they were UTF-8, and become it again. What is none becomes U+FFFD or ``?``.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    try:
        given = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
    return given.decode("utf-8", "replace").encode("utf-8")


def atomic_write_text(path: PathLike, content: str) -> None:
    """Write ``content`` as UTF-8 with ``\\n`` line ends on every system; see `atomic_write`."""
    atomic_write_bytes(path, utf8(content))


def atomic_write_json(path: PathLike, content: object) -> None:
    """Write ``content`` as indented JSON; see `atomic_write`.

    Raises:
        ValueError: ``content`` holds NaN or an infinity, which JSON has no word for.
        TypeError: ``content`` holds something that is not JSON.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a name that the system's encoding lacks: JSON keeps it by numbers
        text = json.dumps(content, indent=2, allow_nan=False)
    atomic_write_text(path, text + "\n")
