"""The folder of an export: whole files appear in it at the end, or none."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import PATH_LIMIT, DeployError, for_display
from ...interrupts import deferred_interrupt
from ...io.atomic_files import atomic_write_json
from ..manifest import Manifest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: The record of what was exported and how it was proved.
RECORD = "export.json"
#: Seconds to wait for another export that moves its files.
LOCK_SECONDS = 30.0


@contextmanager
def staging(out: Path) -> Iterator[tuple[Path, Path]]:
    """Make a folder for the files in the making, and remove it at the end.

    It is inside of ``out`` where that exists, and else beside it.

    Yields:
        tuple: the folder of what becomes part of the export, and one for temporary files. Both are
        on the file system of ``out``, which may be a link or a mount point, so that a full disk
        shows before anything is in place.

    Raises:
        OSError: no permission or no space.
    """
    parent = out.absolute() if out.is_dir() else out.absolute().parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    # A name may have 255 bytes.
    root = parent / f".{out.name[:40]}.{uuid.uuid4().hex}.tmp"
    staged, scratch = root / "export", root / "scratch"
    try:
        staged.mkdir(parents=True)
        scratch.mkdir()
        yield staged, scratch
    finally:
        shutil.rmtree(root, ignore_errors=True)
        for folder in made:  # only those that are still empty
            with suppress(OSError):
                folder.rmdir()


def publish(staged: Path, out: Path, complete: Callable[[], None] = lambda: None) -> list[Path]:
    """Move the files into their folder: the folder as a whole where it is new, else one by one.

    Of several exports into one folder, one moves its files at a time, so that the last one's are
    there whole; signals wait until they are.

    Args:
        staged: the folder of the files.
        out: where they go.
        complete: writes what depends on the files in ``out``, when no other export changes them.

    Returns:
        list: their paths, `export.json` last.

    Raises:
        DeployError: a folder stands where a file belongs, or another export does not end; nothing
            is moved then.
        OSError: the folder cannot be written to.
    """
    with _alone(out):
        complete()
        names = sorted((path.name for path in staged.iterdir()), key=lambda name: name == RECORD)
        for name in names:
            if (out / name).is_dir():
                shown = for_display(out / name, PATH_LIMIT)
                raise DeployError(f"'{shown}' is a folder, where the export has a file.")
            _sync(staged / name)
        _sync(staged)
        with deferred_interrupt():  # between two renames it would halve the export
            if not out.exists():
                os.rename(staged, out)
            else:
                for name in names:
                    os.replace(staged / name, out / name)
        _sync(out)
    return [out / name for name in names]


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Wait until no other export moves files into a folder; the system lifts a dead one's lock."""
    handle = None
    # The folder itself may not be there yet. Its parent is locked as it is: no file is left there.
    with suppress(OSError):  # such as one that may not be listed
        handle = os.open(Path(os.path.realpath(out)).parent, os.O_RDONLY)
    try:
        end = time.monotonic() + LOCK_SECONDS
        while handle is not None and not _lock(handle):
            if time.monotonic() > end:
                raise DeployError(
                    f"another export writes into '{for_display(out, PATH_LIMIT)}' or beside it and "
                    f"does not end within {LOCK_SECONDS:g} s; nothing was written."
                )
            time.sleep(0.05)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Return whether the lock is ours, or the system has none."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have no locks
        return True
    return True


def write_record(
    staged: Path, out: Path, name: str, manifest: Manifest, proof: dict[str, Any]
) -> None:
    """Write ``export.json``: for each exported file of the folder its facts and its proof.

    Entries of files that were exported into the folder before are kept.
    """
    record: dict[str, Any] = {}
    with suppress(OSError, ValueError):  # corrupt: begun anew
        known = json.loads((out / RECORD).read_text(encoding="utf-8"))
        record = known if isinstance(known, dict) else {}
    facts = {key: json.loads(text) for key, text in manifest.to_strings().items()}
    record[name] = {"manifest": facts, "proof": proof}
    kept = {key: value for key, value in record.items() if key == name or (out / key).is_file()}
    atomic_write_json(staged / RECORD, kept)


def _sync(path: Path) -> None:
    """Bring a file or folder to the disk; some systems cannot sync folders."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
