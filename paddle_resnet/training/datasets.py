"""The three parts of a data set as a recipe wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from ..config import Config
from ..data import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    BatchLoader,
    Cifar10Data,
    load_cifar10,
    train_validation_split,
)
from ..errors import DataError


@dataclass
class Parts:
    """Training, validation and test images as loaders, and what to say about them."""

    train: BatchLoader
    validation: Optional[BatchLoader]
    test: BatchLoader
    classes: list[str]
    mean: Optional[list[float]]
    std: Optional[list[float]]
    source: str
    is_sample: bool

    @property
    def input_shape(self) -> list[int]:
        """``[C, H, W]`` of one image."""
        return list(self.train.images.shape[1:])

    def describe(self, name: str) -> dict[str, Any]:
        """Return the facts for result.json."""
        return {
            "name": name,
            "source": self.source,
            "is_sample": self.is_sample,
            "train": len(self.train.images),
            "validation": len(self.validation.images) if self.validation else 0,
            "test": len(self.test.images),
            "classes": self.classes,
        }


def load_parts(config: Config, notify: Callable[[str], None] = print) -> Parts:
    """Load a recipe's data and split it: the test set is never among what training watches.

    Raises:
        DataError: no source has the data, or the sizes that the recipe asks for do not fit.
    """
    data = load_cifar10(
        config.data.root, config.data.download, allow_sample=config.data.sample, notify=notify
    )
    mean = list(CIFAR10_MEAN) if config.data.normalize else None
    std = list(CIFAR10_STD) if config.data.normalize else None
    train, validation = _split(data, config)
    batch = config.train.batch_size
    if batch > len(train):
        raise DataError(
            f"train.batch_size is {batch}, but there are only {len(train)} training images."
        )
    eval_batch = config.train.eval_batch_size
    return Parts(
        train=BatchLoader(
            data.train_images[train],
            data.train_labels[train],
            batch,
            shuffle=True,
            drop_last=config.train.drop_last,
            seed=config.train.seed,
            crop_padding=config.data.crop_padding,
            flip=config.data.flip,
            mean=mean,
            std=std,
        ),
        validation=BatchLoader(
            data.train_images[validation],
            data.train_labels[validation],
            eval_batch,
            mean=mean,
            std=std,
        )
        if len(validation)
        else None,
        test=BatchLoader(data.test_images, data.test_labels, eval_batch, mean=mean, std=std),
        classes=list(data.classes),
        mean=mean,
        std=std,
        source=data.source,
        is_sample=data.is_sample,
    )


def subset(loader: BatchLoader, images: int) -> BatchLoader:
    """Return a loader of a class-balanced part of another's images, unaugmented."""
    if images >= len(loader.images):
        return loader
    _, chosen = train_validation_split(loader.labels, max(images, min(10, len(loader.images) - 1)))
    smaller = BatchLoader(loader.images[chosen], loader.labels[chosen], loader.batch_size)
    smaller._scale, smaller._shift = loader._scale, loader._shift
    return smaller


def _split(data: Cifar10Data, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training and the validation images."""
    validation = config.data.validation
    if data.is_sample:  # the sample is 1/25 of the set, so is its validation part
        validation = max(validation // 25, 10) if validation else 0
    if validation:
        train, held_out = train_validation_split(data.train_labels, validation)
    else:
        train, held_out = np.arange(len(data.train_labels)), np.arange(0)
    if config.data.limit is not None and config.data.limit < len(train):
        # The held-out part of a second split: class-balanced too.
        _, chosen = train_validation_split(data.train_labels[train], config.data.limit, seed=1)
        train = train[chosen]
    return train, held_out
