"""Data sets, their sources, augmentation, and the batch loader."""

from __future__ import annotations

from .augment.options import Augment
from .cifar.cifar10 import CLASSES, Cifar10Data, Fetched, fetch, load_cifar10
from .folder.image_files import ImageFiles
from .loader import CIFAR10_MEAN, CIFAR10_STD, BatchLoader
from .stratified_split import train_validation_split

__all__ = [
    "CIFAR10_MEAN",
    "CIFAR10_STD",
    "CLASSES",
    "Augment",
    "BatchLoader",
    "Cifar10",
    "Cifar10Data",
    "Fetched",
    "ImageFiles",
    "fetch",
    "load_cifar10",
    "train_validation_split",
]


def __getattr__(name: str) -> object:
    # `Cifar10` is a paddle.io.Dataset; everything else here works without importing Paddle.
    if name == "Cifar10":
        from .cifar.paddle_dataset import Cifar10

        return Cifar10
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
