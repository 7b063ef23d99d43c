"""CIFAR-10 as a `paddle.io.Dataset` of single images, a drop-in for Paddle's own class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import paddle
from PIL import Image

from ...errors import DataError, did_you_mean, for_display
from ...io.atomic_files import PathLike
from .cifar10 import load_cifar10

MODES = ("train", "test")
BACKENDS = ("pil", "cv2")


class Cifar10(paddle.io.Dataset):
    """Drop-in for `paddle.vision.datasets.Cifar10`, with every source of `load_cifar10`.

    Args:
        data_file: A path, or ``"sample"``; see ``root`` of `load_cifar10`. Default: search.
        mode: ``"train"`` or ``"test"``. Default: ``"train"``.
        transform: Called with each image. Default: none.
        download: Whether the network may be used. Default: yes.
        backend: ``"pil"`` for images as PIL.Image, or ``"cv2"`` for arrays [32, 32, 3] of Paddle's
            default float type, from 0 to 255. Default: `paddle.vision.get_image_backend()`.

    Attributes:
        images: uint8 [N, 3, 32, 32].
        labels: int64 [N].
        classes: The ten names.
        source: Where the data came from, for people.
        is_sample: Whether these are only the images that ship with the package.

    An item is ``(image, label)`` with the label as an int64 array of no dimensions, as in Paddle.

    Raises:
        DataError: An unknown mode or backend, or a ``data_file`` that cannot be used.
    """

    def __init__(
        self,
        data_file: Optional[PathLike] = None,
        mode: str = "train",
        transform: Optional[Callable[[Any], Any]] = None,
        download: bool = True,
        backend: Optional[str] = None,
    ) -> None:
        super().__init__()
        if backend is None:
            backend = paddle.vision.get_image_backend()
        self.mode = _choice("mode", mode, MODES).lower()
        self.backend = _choice("backend", backend, BACKENDS)
        self.transform = transform
        self.data_file = data_file
        data = load_cifar10(data_file, download=download)
        self.images, self.labels = (
            (data.train_images, data.train_labels)
            if self.mode == "train"
            else (data.test_images, data.test_labels)
        )
        self.classes = data.classes
        self.source = data.source
        self.is_sample = data.is_sample
        self.dtype = paddle.get_default_dtype()

    def __getitem__(self, idx: int) -> tuple[Any, np.ndarray]:
        image = self.images[idx].transpose(1, 2, 0)
        if self.backend == "pil":
            image = Image.fromarray(np.ascontiguousarray(image))
        if self.transform is not None:
            image = self.transform(image)
        label = np.array(self.labels[idx])
        return (image, label) if self.backend == "pil" else (image.astype(self.dtype), label)

    def __len__(self) -> int:
        return len(self.images)


def _choice(name: str, given: object, choices: tuple[str, ...]) -> str:
    # Paddle takes the mode, but not the backend, in capitals too.
    accepted = given.lower() if name == "mode" and isinstance(given, str) else given
    if accepted not in choices:
        raise DataError(
            f"{name} must be {' or '.join(map(repr, choices))}, not {for_display(repr(given))}."
            f"{did_you_mean(given, choices) if isinstance(given, str) else ''}"
        )
    return given
