"""Image folders: a folder per class, with or without folders ``train``, ``val``, ``test`` above."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ...errors import PATH_LIMIT, DataError, for_display
from ...formatting import counted
from .dataset_index import FoundFiles
from .file_walk import LeftOut, folders, loose_images, walk
from .folder_layout import find_splits, nested_classes, unwrap

#: Suffixes of archives: the likely reason why a folder holds no images.
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z"}


def read_folder(root: Path, known: Collection[str] = ()) -> FoundFiles:
    """List the images of ``root/class/*.jpg``, or of ``root/train/class/*.jpg`` and so on.

    Folders within a class's belong to it. What a walk leaves out is said in `file_walk`.

    Args:
        root: the folder. Splits are ``train``, ``val`` (``valid``, ``validation``, ``dev``) and
            ``test``, in any case of letters, also in longer names such as ``seg_train`` and
            ``Test_Set``. Wrappers around them or around the classes are passed through.
        known: names of classes; a folder of that name is a class and nothing else.

    Raises:
        DataError: it is no such folder.
    """
    top = unwrap(root, known)
    splits = find_splits(top, known)
    notes, no_train = [], ""
    if top != root:
        notes.append(f"the images lie in '{for_display(top.relative_to(root), PATH_LIMIT)}'.")
    unread = [folder for folder in folders(top) if folder not in splits.values()]
    if splits and "train" not in splits and unread and not known:
        splits, unread = {}, []  # `test` may well be a class here
    if not splits:
        splits, unread = {"train": top}, []
    elif "train" not in splits:
        name = for_display(next(iter(splits.values())).name)
        no_train = (
            f"'{for_display(root, PATH_LIMIT)}' has '{name}', but no folder 'train' beside it."
        )
    if unread:
        names = ", ".join(for_display(folder.name) for folder in unread[:5])
        notes.append(f"beside the split '{next(iter(splits))}', {names} is not read.")
    found = FoundFiles(root, {}, notes, no_train=no_train)
    known = set(known)
    for split, folder in splits.items():
        folder = unwrap(folder, known)
        if split == "train" and (doubt := nested_classes(folder, folders(folder))):
            found.notes.append(doubt)
        _read_split(found, split, folder)
        known |= {name for _, name in found.entries.get(split, ())}
    return found


def _read_split(found: FoundFiles, split: str, folder: Path) -> None:
    """Add the images of a split's class folders, and sentences about what is not taken."""
    where = for_display(folder.name)
    files, empty, left_out = [], [], LeftOut()
    for class_folder in folders(folder):
        before = len(files)
        files += [(path, class_folder.name) for path in walk(class_folder, left_out)]
        if len(files) == before:
            empty.append(class_folder.name)
    loose = loose_images(folder)
    if left_out:
        found.left_out.append(f"left out of {where}/: {left_out.sentence()}.")
    if files:
        found.entries[split] = files
        if loose:
            found.left_out.append(
                f"left out of {where}/: {counted(len(loose), 'image')} in no class's folder."
            )
        if empty and split == "train":
            names = ", ".join(for_display(name) for name in empty[:5])
            found.notes.append(f"no images in {where}/: {names}; left out as a class.")
        return
    what = f"{counted(len(loose), 'image')}, but in no class's folder" if loose else "no images"
    if split == "train":
        raise DataError(
            f"'{for_display(folder, PATH_LIMIT)}' holds {what}: expected a folder per class, "
            f"such as {where}/cat/1.jpg and {where}/dog/2.jpg.{_reasons(folder, found)}"
        )
    found.notes.append(f"{where}/ holds {what}: it is not used.")


def _reasons(folder: Path, found: FoundFiles) -> str:
    """Return what was left out just before, which is the likely reason of an error."""
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and entry.suffix.lower() in _ARCHIVES:
            return f" There is '{for_display(entry.name)}': unpack it first."
    left_out = LeftOut()
    if any(walk(folder, left_out)) or not left_out:
        return found.why()
    return f" Left out: {left_out.sentence()}."
