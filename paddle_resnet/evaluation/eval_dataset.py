"""Labelled images for a network that is trained already."""

from __future__ import annotations

import dataclasses
from typing import Callable, Optional

import numpy as np

from ..config import Config, config_from_dict
from ..data import CLASSES, BatchLoader, ImageFiles, load_cifar10
from ..data.cifar.cifar100 import load_cifar100
from ..data.folder.image_files import Images
from ..data.folder.open_dataset import open_dataset
from ..data.folder.verify_images import drop_corrupt, find_corrupt
from ..data.splits import load_splits
from ..errors import DataError
from ..models import TrainedModel

Notify = Callable[[str], None]


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

    Args:
        trained: the network.
        split: ``test`` or ``train``: of a run of CIFAR, without the images that it held out.
        batch_size: of the loader.
        config: the recipe of the network's run, which says what data it was trained on, and where
            they are; without it that is told by the classes.
        root: other data: an archive of CIFAR, a folder of images or a list. Of a folder without a
            ``test`` (or ``val``) part, all images are taken, whatever the split.
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
    if name == "folder" and root is not None:
        images, labels, classes = _files(trained, split, root, notify)
        is_sample = False
    elif config is not None:
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
    """Return a part as the run had it, from another place where one is given."""
    data = config.data
    if root is not None:
        # "sample" as root asks for the sample.
        data = dataclasses.replace(data, root=root, allow_sample=True)
    config = dataclasses.replace(config, data=data, train=config_from_dict({}).train)
    config.train.batch_size = 1
    parts = load_splits(config, notify)
    chosen = parts.test if split == "test" else parts.train
    return chosen.images, chosen.labels, parts.classes, parts.is_sample


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


def _files(
    trained: TrainedModel, split: str, root: str, notify: Notify
) -> tuple[Images, np.ndarray, list[str]]:
    listing = open_dataset(root)
    listing = drop_corrupt(listing, find_corrupt(listing, notify=notify), skip=True)
    for note in listing.notes:
        notify(f"Notice: {note}")
    strange = [name for name in listing.classes if name not in trained.classes]
    if strange:
        raise DataError(
            f"'{root}' has the class '{strange[0]}', which '{trained.path}' does not know: it "
            f"knows {_some(trained.classes)}."
        )
    wanted = ("test", "validation", "train") if split == "test" else ("train",)
    part = listing.parts[next(name for name in wanted if name in listing.parts)]
    numbers = np.array([trained.classes.index(name) for name in listing.classes], np.int64)
    channels, height, _ = trained.input_shape
    images = ImageFiles(part.paths, height, channels=channels, share=trained.centre)
    return images, numbers[part.labels], list(trained.classes)


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
