"""The three splits of a data set, as a recipe configures them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from ..config import Config
from ..errors import DataError, for_display
from . import CIFAR10_MEAN, CIFAR10_STD, Augment, BatchLoader, load_cifar10, train_validation_split
from .channel_stats import mean_and_std
from .cifar.cifar100 import load_cifar100
from .folder.folder_splits import image_files, normalization, valid_splits
from .folder.image_files import ImageCache, Images, take
from .folder.split_record import write_record

Labelled = tuple[Images, np.ndarray]


@dataclass
class DataSplits:
    """Loaders of the training, validation and test images, and facts about them."""

    train: BatchLoader
    validation: Optional[BatchLoader]
    test: BatchLoader
    classes: list[str]
    mean: Optional[list[float]]
    std: Optional[list[float]]
    source: str
    is_sample: bool
    #: Fraction of the shorter side that evaluation uses, see ``data.crop_pct``.
    centre: float = 1.0
    #: Black and white of image files of more than 8 bits that do not say their own.
    value_range: Optional[list[float]] = None
    #: Image file to the first digits of the SHA-256 of its content.
    digests: dict[Path, str] = field(default_factory=dict)

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


def record_images(config: Config, path: Path) -> Config:
    """Write the list of a recipe's image files with their splits, if its data are files.

    Args:
        config: the recipe.
        path: the file, see `split_record.write_record`.

    Returns:
        Config: the recipe with the value range that was chosen for its images.

    Raises:
        DataError: see `load_splits`.
        OSError: it cannot be written.
    """
    if config.data.name != "folder":
        return config
    splits = load_splits(config, lambda line: None)
    loaders = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    write_record(
        path,
        Path(config.data.root).expanduser(),
        {
            split: (loader.images.paths, [splits.classes[label] for label in loader.labels])
            for split, loader in loaders.items()
            if loader is not None
        },
        splits.digests,
    )
    return replace(config, data=replace(config.data, value_range=splits.value_range))


def load_splits(config: Config, notify: Callable[[str], None] = print) -> DataSplits:
    """Load a recipe's data and split it. The test split is never used for model selection.

    Raises:
        DataError: no source has the data, or the sizes that the recipe asks for do not fit.
    """
    return {"cifar10": _cifar10, "cifar100": _cifar100, "folder": _folder}[config.data.name](
        config, notify
    )


def _cifar10(config: Config, notify: Callable[[str], None]) -> DataSplits:
    data = load_cifar10(
        config.data.root, config.data.download, allow_sample=config.data.allow_sample, notify=notify
    )
    train, validation = split_validation(
        (data.train_images, data.train_labels), config, scale=25 if data.is_sample else 1
    )
    return _with_loaders(
        config,
        train,
        validation,
        (data.test_images, data.test_labels),
        statistics=(list(CIFAR10_MEAN), list(CIFAR10_STD)),
        classes=list(data.classes),
        source=data.source,
        is_sample=data.is_sample,
    )


def _cifar100(config: Config, notify: Callable[[str], None]) -> DataSplits:
    data = load_cifar100(config.data.root, config.data.download, notify=notify)
    train, validation = split_validation((data.train_images, data.train_labels), config)
    return _with_loaders(
        config,
        train,
        validation,
        (data.test_images, data.test_labels),
        statistics=mean_and_std(data.train_images),
        classes=list(data.classes),
        source=data.source,
        is_sample=False,
    )


def _folder(config: Config, notify: Callable[[str], None]) -> DataSplits:
    index, verified, value_range = valid_splits(config, notify)
    memory = ImageCache(config.data.cache_mb * 2**20)
    train, validation, test = (
        (image_files(files, config, memory, value_range), files.labels) if files else None
        for files in map(index.splits.get, ("train", "validation", "test"))
    )
    return _with_loaders(
        config,
        limit_train_images(train, config),
        validation,
        test,
        statistics=normalization(config),
        classes=index.classes,
        source=f"the given {for_display(index.root.resolve().name)}",
        is_sample=False,
        workers=2,
        centre=config.data.crop_pct,
        value_range=None if value_range is None else list(value_range),
        digests={path: facts.digest for path, facts in verified.facts.items()},
    )


def _with_loaders(
    config: Config,
    train: Labelled,
    validation: Optional[Labelled],
    test: Labelled,
    *,
    statistics: tuple[Optional[list[float]], Optional[list[float]]],
    workers: int = 0,
    **facts: Any,
) -> DataSplits:
    """Return loaders of images and labels."""
    mean, std = (
        (config.data.mean or statistics[0], config.data.std or statistics[1])
        if config.data.normalize
        else (None, None)
    )
    batch, images = config.train.batch_size, len(train[0])
    if batch > images:
        raise DataError(
            f"train.batch_size is {batch}, but there are only {images} training images."
        )
    workers = workers if config.data.workers is None else config.data.workers

    def for_evaluation(images: Images, labels: np.ndarray) -> BatchLoader:
        size = config.train.eval_batch_size
        return BatchLoader(images, labels, size, mean=mean, std=std, workers=workers)

    return DataSplits(
        train=BatchLoader(
            *train,
            batch,
            shuffle=True,
            drop_last=config.train.drop_last,
            seed=config.train.seed,
            crop_padding=config.data.crop_padding,
            flip=config.data.flip,
            mean=mean,
            std=std,
            augment=augment(config),
            workers=workers,
        ),
        validation=for_evaluation(*validation) if validation is not None else None,
        test=for_evaluation(*test),
        mean=mean,
        std=std,
        **facts,
    )


def shard(splits: DataSplits, rank: int, world_size: int) -> DataSplits:
    """Return one rank's shard of each split's batches; the splits themselves for one process.

    Raises:
        DataError: a batch has fewer images than there are processes.
    """
    if world_size == 1:
        return splits
    return replace(
        splits,
        train=splits.train.shard(rank, world_size, every_batch=True),
        validation=splits.validation and splits.validation.shard(rank, world_size),
        test=splits.test.shard(rank, world_size),
    )


def augment(config: Config) -> Augment:
    """Return a recipe's augmentation as the loader's options."""
    given = asdict(config.augment)
    return Augment(**{name: given[name] for name in Augment.__dataclass_fields__})


def subset(loader: BatchLoader, images: int) -> BatchLoader:
    """Return a loader of class-balanced images of another's, unaugmented."""
    if images >= len(loader.images):
        return loader
    _, chosen = train_validation_split(loader.labels, max(images, min(10, len(loader.images) - 1)))
    return loader.subset(chosen)


def split_validation(
    images: Labelled, config: Config, scale: int = 1
) -> tuple[Labelled, Optional[Labelled]]:
    """Split the training images of CIFAR, or of a sample of 1/scale of them, and limit the rest."""
    validation = config.data.validation
    validation = 5000 if validation is None else validation
    if 0 < validation < 1:
        validation = round(validation * len(images[1]))
    elif scale > 1:
        validation = max(validation // scale, 10) if validation else 0
    if not validation:
        return limit_train_images(images, config), None
    train, held_out = train_validation_split(images[1], int(validation))
    return limit_train_images(_chosen(images, train), config), _chosen(images, held_out)


def limit_train_images(images: Labelled, config: Config) -> Labelled:
    """Return ``data.max_train_images`` images, class-balanced; all if it is None."""
    if config.data.max_train_images is None or config.data.max_train_images >= len(images[1]):
        return images
    # The smaller side of a second split: class-balanced too.
    _, chosen = train_validation_split(images[1], config.data.max_train_images, seed=1)
    return _chosen(images, chosen)


def _chosen(images: Labelled, indices: np.ndarray) -> Labelled:
    return take(images[0], indices), images[1][indices]
