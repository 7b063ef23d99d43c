"""Labelled images for a network that is trained already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from ..config import Config, config_from_dict
from ..data import CLASSES, BatchLoader, ImageFiles, load_cifar10
from ..data.cifar.cifar100 import load_cifar100
from ..data.folder.decoding.value_range import choose_range, describe_range
from ..data.folder.image_files import Images
from ..data.folder.open_dataset import find_files
from ..data.folder.split_record import Recorded, find_recorded, read_record
from ..data.folder.verify_images import drop_corrupt, verify_images
from ..data.splits import load_splits
from ..errors import PATH_LIMIT, DataError, for_display
from ..formatting import counted
from ..models import TrainedModel

#: Beside the weights of a run; see `data.splits.record_images`.
RECORD = "images.csv"
Notify = Callable[[str], None]
Labelled = tuple[Images, np.ndarray, list[str]]


def eval_loader(
    trained: TrainedModel,
    split: str,
    batch_size: int,
    *,
    config: Optional[Config] = None,
    root: Optional[str] = None,
    notify: Notify = print,
) -> tuple[BatchLoader, bool]:
    """Return a loader of a data set's images as a trained network takes them.

    The test images of a run are those that it set aside, wherever they are now in its data set.
    Of other data, images that the run was trained on are no test images: they are left out.

    Args:
        trained: the network.
        split: ``test`` or ``train``: of a run of CIFAR, without the images that it held out.
        batch_size: of the loader.
        config: the recipe of the network's run, which says what data it was trained on, and where
            they are; without it that follows from the classes.
        root: other data: an archive of CIFAR, a folder of images or a list. Of a folder without a
            ``test`` (or ``val``) split, all images are taken, whatever the split.
        notify: takes lines that the user should see.

    Returns:
        tuple: the loader, and whether its images are only the sample inside the package.

    Raises:
        DataError: the data cannot be had, or is of other classes than the network knows.
    """
    name = config.data.name if config is not None else _guess_dataset(trained)
    if name == "folder" and root is None and config is None:
        raise DataError(
            f"'{trained.path}' knows classes of its own: name a folder of images of them (--data)."
        )
    record = read_record(trained.path.parent / RECORD) if name == "folder" else None
    is_sample = False
    if name == "folder" and root is not None:
        images, labels, classes = _other_files(trained, split, root, config, record, notify)
    elif record and config is not None:
        images, labels, classes = _recorded_files(trained, split, config, record, notify)
    elif config is not None:
        if name == "folder":
            notify(
                f"Notice: the run does not say which images it was tested on (no {RECORD}): they "
                "are chosen anew, which is another choice if the data set has changed."
            )
        images, labels, classes, is_sample = _of_run(config, split, root, notify)
    else:
        images, labels, classes, is_sample = _cifar(name, split, root, notify)
    if list(classes) != list(trained.classes):
        raise DataError(
            f"'{trained.path}' knows the classes {_some(trained.classes)}: it was not trained on "
            f"this data, which has {_some(classes)}."
        )
    workers = 0 if isinstance(images, np.ndarray) else 2
    loader = BatchLoader(
        images, labels, batch_size, mean=trained.mean, std=trained.std, workers=workers
    )
    return loader, is_sample


def _guess_dataset(trained: TrainedModel) -> str:
    if list(trained.classes) == list(CLASSES):
        return "cifar10"
    whale = len(trained.classes) == 100 and "whale" in trained.classes
    return "cifar100" if whale and trained.input_shape[1:] == [32, 32] else "folder"


def _of_run(
    config: Config, split: str, root: Optional[str], notify: Notify
) -> tuple[Images, np.ndarray, list[str], bool]:
    """Return a split as the run had it, from another place where one is given."""
    data = config.data
    if root is not None:
        # "sample" as root asks for the sample.
        data = dataclasses.replace(data, root=root, allow_sample=True)
    config = dataclasses.replace(config, data=data, train=config_from_dict({}).train)
    config.train.batch_size = 1
    splits = load_splits(config, notify)
    chosen = splits.test if split == "test" else splits.train
    return chosen.images, chosen.labels, splits.classes, splits.is_sample


def _cifar(
    name: str, split: str, root: Optional[str], notify: Notify
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], bool]:
    load = load_cifar10 if name == "cifar10" else load_cifar100
    data = load(root, notify=notify)
    images, labels = (
        (data.test_images, data.test_labels)
        if split == "test"
        else (data.train_images, data.train_labels)
    )
    return images, labels, data.classes, getattr(data, "is_sample", False)


def _recorded_files(
    trained: TrainedModel, split: str, config: Config, record: Sequence[Recorded], notify: Notify
) -> Labelled:
    """Return the images of a run's split, wherever they are now."""
    root = Path(config.data.root or "").expanduser()
    wanted = [row for row in record if row.split == split]
    try:
        found = find_recorded(wanted, root)
    except DataError as error:
        raise DataError(f"{error} Name the place of the run's images: --data PATH.") from None
    if found.missing:
        changed = f" ({found.changed:,} of them were changed)" if found.changed else ""
        what = (
            f"{len(found.missing):,} of the {len(wanted):,} {split} images of this run are not in "
            f"'{for_display(root, PATH_LIMIT)}' any more, such as "
            f"'{for_display(found.missing[0].path, PATH_LIMIT)}'{changed}"
        )
        if not found.paths:
            raise DataError(f"{what}. Name the place where they are: --data PATH.")
        notify(f"Notice: {what}: the others are evaluated.")
    if found.moved:
        notify(f"Notice: {counted(found.moved, 'image')} found under another name by the content.")
    trained_on = {row.digest for row in record if row.split == "train"}
    copies = sum(row.digest in trained_on for row in wanted) if split == "test" else 0
    if copies:
        notify(
            f"Notice: {copies:,} of the test images have a copy among those that this run was "
            "trained on."
        )
    labels = np.array([trained.classes.index(label) for label in found.labels], np.int64)
    images = _image_files(trained, found.paths, _range_of(trained, config))
    return images, labels, list(trained.classes)


def _other_files(
    trained: TrainedModel,
    split: str,
    root: str,
    config: Optional[Config],
    record: Optional[Sequence[Recorded]],
    notify: Notify,
) -> Labelled:
    """Return the images of a folder or list that is not, or not known to be, the run's own."""
    found = find_files(root, known=trained.classes)
    wanted = ("test", "validation", "train") if split == "test" else ("train",)
    held = next((name for name in wanted if found.entries.get(name)), next(iter(found.entries), ""))
    found.entries = {name: files for name, files in found.entries.items() if name == held}
    index = found.for_evaluation(trained.classes, f"'{trained.path}'")
    verified = verify_images(index.paths, index.root, notify=notify)
    index = drop_corrupt(index, verified.corrupt, skip=True)
    files = index.splits.get(held)
    if files is None:
        raise DataError(f"every image of '{for_display(root, PATH_LIMIT)}' is corrupt.")
    if split == "test" and record:
        seen = {row.digest: row.split for row in record if row.split != "test"}
        splits = [seen.get(verified.facts[path].digest, "") for path in files.paths]
        index.notes += _about_seen(splits)
        if not all(splits):
            files = files.take(np.flatnonzero([not each for each in splits]))
    value_range = _range_of(trained, config)
    if verified.extremes and value_range is None:
        chosen = choose_range(verified.extremes.values())
        index.notes += describe_range(verified.extremes, chosen)
        value_range = list(chosen)
    for note in index.notes:
        notify(f"Notice: {note}")
    return _image_files(trained, files.paths, value_range), files.labels, list(trained.classes)


def _about_seen(splits: Sequence[str]) -> list[str]:
    """Return a sentence about images that a run was trained on or validated with.

    Args:
        splits: of each image, the run's split that it was in; nothing for others.
    """
    trained_on, validated = splits.count("train"), splits.count("validation")
    kinds = [f"{counted(trained_on, 'image')} that this run was trained on"] if trained_on else []
    kinds += [f"{counted(validated, 'image')} that chose its weights"] if validated else []
    if not kinds:
        return []
    if all(splits):
        return [
            f"these are {' and '.join(kinds)}, and no others: the accuracy says nothing about new "
            "images."
        ]
    return [f"left out: {' and '.join(kinds)}. (--split train evaluates all.)"]


def _range_of(trained: TrainedModel, config: Optional[Config]) -> Optional[Sequence[float]]:
    """Return the value range that a network was trained with; None where it needed none."""
    if trained.value_range is None and config is not None:
        return config.data.value_range
    return trained.value_range


def _image_files(
    trained: TrainedModel, paths: Sequence[Path], value_range: Optional[Sequence[float]]
) -> ImageFiles:
    channels, height, _ = trained.input_shape
    return ImageFiles(
        paths, height, channels=channels, share=trained.centre, value_range=value_range
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
