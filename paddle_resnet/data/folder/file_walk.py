"""The walk through folders of images, for training, evaluation and prediction.

Left out and counted: files whose suffix is no image's. Left out silently: hidden files and
folders, and clutter of systems and tools. Links are followed, but for folders that lead back
up. A link to nothing is kept as a file: whoever reads it says so.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError, for_display

#: Suffixes of images. The content decides what a file is, not its suffix.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
    *(".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
#: Folders and files of Macs, Windows, NAS servers and Python, in lower-case letters.
_CLUTTER = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("@eadir", "@synoresource", "#recycle", "@recycle", "@recently-snapshot", "#snapshot"),
    *("$recycle.bin", "system volume information", "lost+found", "__pycache__", "cvs"),
}
#: How images begin, of files whose names have no suffix at all.
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|BM.{12}[\x0c\x28\x38\x40\x6c\x7c]\0\0\0|II\*\0|MM\0\*"
    rb"|RIFF....WEBP|P[1-6]\s|....ftypavi[fs]|\0\0\0\x0cjP  ",
    re.DOTALL,
)


class LeftOut:
    """Counts the files that a walk left out, by suffix."""

    def __init__(self) -> None:
        self.suffixes: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self.suffixes)

    def add(self, path: Path) -> None:
        """Count a file."""
        self.suffixes[path.suffix.lower() or "no suffix"] += 1

    def sentence(self, most: int = 4) -> str:
        """Return such as ``12 files without an image's suffix (10 .heic, 2 .txt)``."""
        total = sum(self.suffixes.values())
        named = [
            f"{n:,} {for_display(suffix, 20)}" for suffix, n in self.suffixes.most_common(most)
        ]
        more = len(self.suffixes) - len(named)
        which = ", ".join(named) + (f" and {more} more kinds" if more > 0 else "")
        return f"{total:,} {'file' if total == 1 else 'files'} without an image's suffix ({which})"


def entries(folder: Path) -> list[os.DirEntry]:
    """Return what a folder holds, in alphabetical order, but for hidden files and clutter.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            listed = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"the folder '{for_display(folder)}' cannot be read: {error.strerror or error}."
        ) from None
    return [each for each in listed if not is_clutter(each.name)]


def is_clutter(name: str) -> bool:
    """Return whether a file or folder is hidden, or left behind by a system or a tool."""
    return name.startswith(".") or name.lower() in _CLUTTER


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder."""
    return [Path(entry.path) for entry in entries(folder) if is_folder(entry)]


def is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a folder or leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def loose_images(folder: Path) -> list[Path]:
    """Return the images in a folder, without those in folders below."""
    return [Path(e.path) for e in entries(folder) if is_image(e)]


def is_image(entry: os.DirEntry) -> bool:
    """Return whether a file is an image by its name; one without a suffix, by how it begins."""
    suffix = Path(entry.name).suffix.lower()
    if suffix in SUFFIXES:
        return not is_folder(entry)  # a link to nothing too, and a pipe: reading it says so
    return not suffix.strip(".0123456789") and _begins_as_image(entry.path)


def _begins_as_image(path: str) -> bool:
    try:
        if not os.path.isfile(path):  # a pipe would wait for ever
            return False
        with open(path, "rb") as file:
            return _MAGIC.match(file.read(32)) is not None
    except OSError:
        return False


def walk(folder: Path, left_out: LeftOut) -> Iterator[Path]:
    """Yield the images in a folder and in all folders below, each folder's own ones first.

    Args:
        folder: where to begin.
        left_out: takes the files that are no images.

    Raises:
        DataError: a folder cannot be read.
    """
    top = os.path.realpath(folder)
    waiting, seen = [folder], {top}
    while waiting:
        for entry in entries(waiting.pop(0)):
            if is_folder(entry):
                real = os.path.realpath(entry.path)
                above = top.startswith(os.path.join(real, ""))
                if real not in seen and not above:
                    seen.add(real)
                    waiting.append(Path(entry.path))
            elif is_image(entry):
                yield Path(entry.path)
            else:
                left_out.add(Path(entry.name))
