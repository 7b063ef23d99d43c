"""Files out of a tar archive or a folder, read into memory within limits. Nothing is extracted."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Optional

from ...errors import PATH_LIMIT, DataError, for_display


@dataclass(frozen=True)
class ArchiveFiles:
    """What is looked for.

    Args:
        what: its name for people, such as CIFAR-10.
        names: of the files.
        inside: what a folder may hold in place of the files: other folders, or archives.
        member_limit: bytes of one file at the most. More is something else, and could be made to
            fill the memory.
        archive_limit: bytes of a whole archive, unpacked.
    """

    what: str
    names: tuple[str, ...]
    inside: tuple[str, ...]
    member_limit: int
    archive_limit: int


def find(path: Path, contents: ArchiveFiles) -> Path:
    """Return the archive, or the folder with the files, that ``path`` is or holds.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        DataError: it is a folder that holds neither.
    """
    try:
        if not path.is_dir():
            return path
        if any((path / name).is_file() for name in contents.names):
            return path
        for name in contents.inside:
            if (path / name).exists():
                return find(path / name, contents)
    except OSError as error:
        raise DataError(
            f"{for_display(path, PATH_LIMIT)} cannot be read: {error.strerror or error}."
        ) from error
    raise DataError(
        f"{for_display(path, PATH_LIMIT)} holds no {contents.what}; expected files such as "
        f"{contents.names[0]}, or one of {', '.join(contents.inside)}."
    )


def read_members(path: Path, contents: ArchiveFiles) -> dict[str, bytes]:
    """Read the wanted files of an archive (tar or tar.gz, decided by its content) or of a folder.

    Returns:
        Those that there are, by name; at least one.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        DataError: it is corrupt, something else, or larger than it can be.
    """
    try:
        if path.is_dir():
            return _read_folder(path, contents)
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with _Gzip(path, contents) if packed else path.open("rb") as stream:
            return _tar_members(stream, path, contents)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no file or folder {for_display(path, PATH_LIMIT)}."
        ) from None
    except OSError as error:
        raise DataError(
            f"{for_display(path, PATH_LIMIT)} cannot be read: {error.strerror or error}."
        ) from error


def _read_folder(folder: Path, contents: ArchiveFiles) -> dict[str, bytes]:
    members = {}
    for name in sorted(contents.names):
        file = folder / name
        if file.is_file():
            if file.stat().st_size > contents.member_limit:
                raise DataError(f"{file} is too large to belong to {contents.what}.")
            members[name] = file.read_bytes()
    return members


class _Gzip(gzip.GzipFile):
    """Refuses to unpack a huge member at once, as a crafted archive's headers can ask for."""

    def __init__(self, path: Path, contents: ArchiveFiles) -> None:
        super().__init__(path)
        self.contents = contents

    def read(self, size: Optional[int] = -1) -> bytes:
        if size is None or not 0 <= size <= self.contents.member_limit:
            raise DataError(f"{self.name} has a member too large for {self.contents.what}.")
        return super().read(size)


def _tar_members(stream: IO[bytes], path: Path, contents: ArchiveFiles) -> dict[str, bytes]:
    """Read the wanted members into memory. Nothing is extracted, so no path can lead astray."""
    members: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                total += member.size
                if total > contents.archive_limit:
                    raise DataError(
                        f"{for_display(path, PATH_LIMIT)} unpacks to far more than "
                        f"{contents.what} has."
                    )
                name = member.name.rsplit("/", 1)[-1]
                if name not in contents.names or not member.isfile():
                    continue
                if member.size > contents.member_limit:
                    raise DataError(
                        f"{for_display(member.name)} in {for_display(path, PATH_LIMIT)} is too "
                        f"large for {contents.what}."
                    )
                members[name] = archive.extractfile(member).read()
                if len(members[name]) != member.size:
                    raise EOFError("a member is cut short")
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        # With an errno it is the disk that failed, not the content.
        if isinstance(error, OSError) and error.errno:
            raise
        raise DataError(
            f"{for_display(path, PATH_LIMIT)} is not a whole archive: it is truncated, corrupt or "
            f"something else ({for_display(error)})."
        ) from error
    if not members:
        raise DataError(
            f"{for_display(path, PATH_LIMIT)} is an archive, but holds no {contents.what} batches."
        )
    return members
