"""Find the file that a list names: with backslashes, without suffix, or in another folder."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Optional

from ...errors import DataError, did_you_mean, for_display
from .file_walk import SUFFIXES, entries, folders

_FOREIGN = re.compile(r"[A-Za-z]:[\\/]|\\\\|/")


class NoImageList(DataError):
    """A file in which nothing names an image: it is a list of something else."""


class PathFinder:
    """Finds the files that the lines of a list name.

    A path counts from the list's folder. Where it leads to nothing, it is tried, in this order,
    with slashes in place of backslashes (lists of Windows), with an image's suffix (Kaggle's
    ``id``), from the folders beside the list, and from the folder above.

    Args:
        file: the list.
        encoding: the list's; names on the disk may be in it too, after a careless unpacking.
    """

    def __init__(self, file: Path, encoding: str = "utf-8") -> None:
        self.file = file
        self.encoding = encoding
        self.folder = file.parent
        #: How often a path was found in another way than as it stands, by what was done.
        self.used: Counter[str] = Counter()
        self._images = lru_cache(maxsize=4096)(_images_by_stem)
        self._others: Optional[list[Path]] = None

    def settle(self, sample: Sequence[str]) -> None:
        """Decide in which other folder the paths lie that are not in the list's own, if any.

        Raises:
            NoImageList: they are in several, and none is called as the list is.
        """
        absent = [text for text in sample if self._in_folder(self.folder, text)[0] is None]
        found = {
            folder: sum(self._in_folder(folder, text)[0] is not None for text in absent)
            for folder in self.others()
        }
        most = max(found.values(), default=0)
        best = [folder for folder, count in found.items() if count == most > 0]
        words = set(re.findall(r"[a-z]+", self.file.stem.lower()))
        alike = [f for f in best if words & set(re.findall(r"[a-z]+", f.name.lower()))]
        if len(best) > 1 and len(alike) != 1:
            name, one, other = (for_display(each.name) for each in (self.file, *best[:2]))
            raise NoImageList(
                f"the paths of '{name}' are in '{one}' and in '{other}': write the folder into the "
                "paths."
            )
        self._others = alike or best

    def rank(self, text: str) -> int:
        """Return 2 if a field is the path of a file as it stands, 1 if in another way, else 0."""
        if text and _is_file(self.folder / text):
            return 2
        return int(self._search(text)[0] is not None)

    def find(self, text: str) -> Optional[Path]:
        """Return the file that a field names, or None."""
        path, how = self._search(text)
        if how:
            self.used[how] += 1
        return path

    def notes(self) -> list[str]:
        """Return a sentence for each way in which paths were found but as they stand."""
        name = for_display(self.file.name)
        return [
            f"{count:,} {'path' if count == 1 else 'paths'} of '{name}' {how}."
            for how, count in self.used.most_common()
        ]

    def hint(self, text: str) -> str:
        """Return why a path may lead to nothing, and what to do; with a blank in front."""
        if self.encoding != "utf-8":
            return f" (The list was read as {self.encoding}: save it as UTF-8.)"
        parts = [part for part in re.split(r"[\\/]", text) if part]
        if not parts:  # an empty field, or slashes alone
            return ""
        if _FOREIGN.match(text):
            for first in range(1, len(parts)):
                if _is_file(self.folder.joinpath(*parts[first:])):
                    tail = for_display("/".join(parts[first:]))
                    return f" (It is another machine's path; '{tail}' is there: write that.)"
            return " (It is another machine's path: write paths that count from the list's folder.)"
        folder = self.folder.joinpath(*parts[:-1])
        try:
            near = did_you_mean(parts[-1], [entry.name for entry in entries(folder)[:5000]])
        except DataError:
            return ""
        return near

    def _search(self, text: str) -> tuple[Optional[Path], str]:
        for folder in (self.folder, *self.others()):
            path, how = self._in_folder(folder, text)
            if path is not None:
                return path, how
        return None, ""

    def _in_folder(self, folder: Path, text: str) -> tuple[Optional[Path], str]:
        """Return the file that a field names, counted from a folder, and how it was found."""
        where = for_display(os.path.relpath(folder, self.folder))
        counted = [] if folder == self.folder else [f"count from '{where}'"]
        for variant, how in self._variants(text) if text else ():
            path = folder / variant
            if _is_file(path):
                return path, ", ".join([*counted, *how])
            images = self._images(path.parent).get(path.name, ())
            if len(images) == 1:
                return images[0], ", ".join([*counted, *how, "lack the suffix"])
        return None, ""

    def _variants(self, text: str) -> list[tuple[str, list[str]]]:
        found: list[tuple[str, list[str]]] = [(text, [])]
        if "\\" in text and os.sep != "\\":
            found.append((text.replace("\\", "/"), ["have backslashes, read as slashes"]))
        if not text.isascii():  # accents as letters of their own, as a Mac writes them
            for form in ("NFC", "NFD"):
                other = unicodedata.normalize(form, text)
                found += [(other, [])] if other != text else []
        if self.encoding != "utf-8" and not text.isascii():
            for variant, said in list(found):
                raw = os.fsdecode(variant.encode(self.encoding, "replace"))
                found.append((raw, [*said, "have names in the list's encoding"]))
        return found

    def others(self) -> list[Path]:
        """Return the folders beside the list, and the one above it."""
        if self._others is None:
            try:
                self._others = [*folders(self.folder)[:50], self.folder.parent]
            except DataError:  # not readable: then there is nothing to find
                self._others = []
        return self._others


def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    try:
        with os.scandir(folder) as listed:
            for entry in listed:
                stem, suffix = os.path.splitext(entry.name)
                if suffix.lower() in SUFFIXES:
                    found.setdefault(stem, []).append(Path(entry.path))
    except (OSError, ValueError):
        pass
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False
