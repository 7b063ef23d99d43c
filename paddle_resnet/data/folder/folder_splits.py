"""The splits of a data set of image files, as a recipe wants them."""

from __future__ import annotations

from typing import Callable, Optional

import numpy as np

from ...config import Config
from ...errors import PATH_LIMIT, DataError, for_display
from ..stratified_split import train_validation_split
from .dataset_index import DatasetIndex, SplitFiles
from .decoding.value_range import ValueRange, choose_range, describe_range
from .image_files import ImageCache, ImageFiles
from .open_dataset import open_dataset
from .verify_images import Verified, drop_corrupt, verify_images

#: What a network sees of an image, unless it or the recipe says otherwise: those of ImageNet.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGE_SIZE = 224
#: Splits of one data set that must not coincide have seeds of their own.
_TEST_SEED = 2


def valid_splits(
    config: Config, notify: Callable[[str], None]
) -> tuple[DatasetIndex, Verified, Optional[ValueRange]]:
    """List a recipe's images, corrupt ones left out, with all three splits.

    A split that the data set lacks is held out of the training images. A validation split without a
    test split becomes the test split: others compare results on it, and metrics that choose the
    weights are no test.

    Returns:
        tuple: the files; what decoding them showed; and the value range of those that do not say
        their own, None where there are none.

    Raises:
        DataError: there is no such data set, it cannot be split, or an image is corrupt and the
            recipe says to stop.
    """
    if config.data.root is None:
        raise DataError(
            "data.name=folder needs data.root: a folder with a folder of images per class, or a "
            "list of images (-o data.root=my_photos)."
        )
    channels(config)  # before every image is decoded
    index = open_dataset(config.data.root)
    verified = verify_images(index.paths, index.root, config.data.workers or 2, notify)
    index = drop_corrupt(index, verified.corrupt, config.data.on_corrupt == "skip")
    given = config.data.value_range
    value_range = ValueRange(*given) if given else choose_range(verified.extremes.values())
    if verified.extremes:
        index.notes += describe_range(verified.extremes, value_range, given is not None)
    splits, notes = dict(index.splits), list(index.notes)
    held: list[str] = []
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        notes.append(
            "there is no test split: the validation split is the test, seen once, at the end."
        )
    if "test" not in splits:
        splits["train"], splits["test"] = split_validation(
            splits["train"], config.data.test, "data.test", _TEST_SEED
        )
        held.append(f"{len(splits['test']):,} for the test")
    wanted = config.data.validation
    if "validation" in splits:
        if wanted is not None:
            raise DataError(
                "data.validation holds images out of the training split, but "
                f"'{for_display(config.data.root, PATH_LIMIT)}' has a validation split of its own: "
                "leave one of them out."
            )
    elif wanted != 0:
        splits["train"], splits["validation"] = split_validation(
            splits["train"], 0.1 if wanted is None else wanted, "data.validation", 0
        )
        held.append(f"{len(splits['validation']):,} for validation")
    if held:
        notes.append(f"held out of the training images: {', '.join(held)}.")
    for note in notes:
        notify(f"Notice: {note}")
    return DatasetIndex(index.root, index.classes, splits, notes), verified, value_range


def image_files(
    files: SplitFiles, config: Config, memory: ImageCache, value_range: Optional[ValueRange]
) -> ImageFiles:
    """Return a split's images as the recipe's network takes them."""
    return ImageFiles(
        files.paths,
        config.data.image_size or IMAGE_SIZE,
        channels=channels(config),
        share=config.data.crop_pct,
        memory=memory,
        value_range=value_range,
    )


def channels(config: Config) -> int:
    """Return 1 (grey) or 3 (RGB): what image files are decoded to.

    Raises:
        DataError: the network takes another number of channels.
    """
    given = config.model.options.get("in_channels", 3)
    if isinstance(given, bool) or given not in (1, 3):
        raise DataError(
            f"model.options.in_channels is {for_display(given)}, and image files are decoded to 1 "
            "channel (grey) or 3 (RGB): choose one of these."
        )
    return int(given)


def normalization(config: Config) -> tuple[Optional[list[float]], Optional[list[float]]]:
    """Return mean and standard deviation per channel."""
    if not config.data.normalize:
        return None, None
    if channels(config) == 3:
        mean, std = list(IMAGENET_MEAN), list(IMAGENET_STD)
    else:
        mean, std = [float(np.mean(IMAGENET_MEAN))], [float(np.mean(IMAGENET_STD))]
    return config.data.mean or mean, config.data.std or std


def split_validation(
    files: SplitFiles, amount: float, key: str, seed: int
) -> tuple[SplitFiles, SplitFiles]:
    """Hold out ``amount`` images (or that share of them) of ``files``; return the rest and those.

    Raises:
        DataError: nothing, or nothing but the held-out images, would be left; names ``key``.
    """
    images = round(amount * len(files)) if amount < 1 else int(amount)
    if not 0 < images < len(files):
        raise DataError(
            f"{key}={amount:g} cannot be held out of {len(files):,} images: a share such as 0.1, "
            f"or a number from 1 to {len(files) - 1:,}, can."
        )
    rest, held = train_validation_split(files.labels, images, seed)
    if len(np.unique(files.labels[rest])) < len(np.unique(files.labels)):
        raise DataError(
            f"{key}={amount:g} would leave a class without training images: its few images "
            "cannot be split."
        )
    return files.take(rest), files.take(held)
