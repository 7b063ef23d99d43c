"""Images in files, of any size: they stand where an array uint8 [N, C, S, S] stands."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Union

import numpy as np
from PIL import Image

from ..augment.random_resized_crop import center_crop_box, cut, random_crop_box
from .decoding.image_decoder import decode, read_content
from .decoding.value_range import ValueRange
from .image_io import to_image

#: What is kept in memory of decoded images, in bytes, by default.
MEMORY = 512 * 2**20


class ImageCache:
    """Keeps arrays until it is full. What it keeps changes the speed of a reader, never its result.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int = MEMORY) -> None:
        self.limit = limit
        self.used = 0
        self._kept: dict[tuple, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple) -> Union[np.ndarray, None]:
        """Return what is kept, if it is."""
        return self._kept.get(key)

    def put(self, key: tuple, array: np.ndarray) -> None:
        """Keep an array, where there is room for it."""
        with self._lock:
            if key not in self._kept and self.used + array.nbytes <= self.limit:
                self._kept[key] = array
                self.used += array.nbytes


class ImageFiles:
    """A sequence of images that are decoded when they are asked for.

    ``images[indices]`` gives their middle parts, scaled to S x S: uint8 [len(indices), C, S, S].

    Args:
        paths: the files.
        size: S, in pixels.
        channels: 1 (grey) or 3 (RGB). Default: 3.
        share: of the middle part in the shorter side, see `crops.center_crop_box`. Default: 0.875.
        memory: keeps decoded images. Default: one of its own, of 512 MB.
        value_range: black and white of images of more than 8 bits that do not say their own, one
            for all of a data set; see `value_range.choose_range`. Default: such an image is an
            error.

    Attributes:
        shape: ``(N, C, S, S)``, as an array's.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        paths: Sequence[Path],
        size: int,
        *,
        channels: int = 3,
        share: float = 0.875,
        memory: Union[ImageCache, None] = None,
        value_range: Union[Sequence[float], None] = None,
    ) -> None:
        self.paths = list(paths)
        self.size_of_one = size
        self.channels = channels
        self.share = share
        self.memory = memory or ImageCache()
        self.value_range = None if value_range is None else ValueRange(*value_range)
        self.shape = (len(self.paths), channels, size, size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Union[slice, Sequence[int], np.ndarray]) -> np.ndarray:
        paths = self._chosen(index)
        result = np.empty((len(paths), *self.shape[1:]), np.uint8)
        for path, into in zip(paths, result):
            key = ("middle", path, self.size_of_one, self.share)
            pixels = self.memory.get(key)
            if pixels is None:
                image = self._open(path)
                pixels = cut(image, center_crop_box(*image.size, self.share), self.size_of_one)
                self.memory.put(key, pixels)
            into[:] = pixels
        return result

    def take(self, indices: np.ndarray) -> ImageFiles:
        """Return some of the images, still in their files."""
        return ImageFiles(
            [self.paths[i] for i in indices],
            self.size_of_one,
            channels=self.channels,
            share=self.share,
            memory=self.memory,
            value_range=self.value_range,
        )

    def random_crops(
        self, index: Union[slice, Sequence[int], np.ndarray], chances: np.ndarray, least: float
    ) -> np.ndarray:
        """Decode images and cut a random part out of each, scaled to S x S.

        Args:
            index: which images.
            chances: float64 [number of images, 4], see `crops.random_crop_box`.
            least: smallest share of an image's area.

        Returns:
            uint8 [number of images, C, S, S].
        """
        paths = self._chosen(index)
        result = np.empty((len(paths), *self.shape[1:]), np.uint8)
        for path, chance, into in zip(paths, chances, result):
            image = self._reduced(path)
            into[:] = cut(image, random_crop_box(*image.size, chance, least), self.size_of_one)
        return result

    def _reduced(self, path: Path) -> Image.Image:
        """Read an image, divided by a whole number so that its shorter side has 2 S to 4 S pixels.

        A crop seldom shows more than that. It is so small also when nothing is kept, so that
        memory never decides what is trained on.
        """
        key = ("reduced", path, self.size_of_one)
        pixels = self.memory.get(key)
        if pixels is not None:
            return Image.fromarray(pixels)
        least = 2 * self.size_of_one
        image = self._open(path, least)
        if min(image.size) >= 2 * least:
            image = image.reduce(min(image.size) // least)
        self.memory.put(key, np.asarray(image, np.uint8))
        return image

    def _open(self, path: Path, least: Union[int, None] = None) -> Image.Image:
        decoded = decode(path, read_content(path), self.channels, least)
        return to_image(path, decoded, self.channels, self.value_range)

    def _chosen(self, index: Union[slice, Sequence[int], np.ndarray]) -> list[Path]:
        return self.paths[index] if isinstance(index, slice) else [self.paths[i] for i in index]


Images = Union[np.ndarray, ImageFiles]


def take(images: Images, indices: np.ndarray) -> Images:
    """Return some of the images: of an array a copy, of files their names."""
    return images[indices] if isinstance(images, np.ndarray) else images.take(indices)


def random_crops(
    images: Images,
    index: Union[slice, np.ndarray],
    chances: np.ndarray,
    least: float,
) -> np.ndarray:
    """Cut a random part out of each image, scaled to the images' own size.

    Args:
        images: an array uint8 [N, C, S, S] or files.
        index: which of them.
        chances, least: see `crops.random_crop_box`.

    Returns:
        uint8 [number of images, C, S, S].
    """
    if not isinstance(images, np.ndarray):
        return images.random_crops(index, chances, least)
    size = images.shape[2]
    result = np.empty((len(chances), *images.shape[1:]), np.uint8)
    for pixels, chance, into in zip(images[index], chances, result):
        image = Image.fromarray(
            pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
        )
        into[:] = cut(image, random_crop_box(*image.size, chance, least), size)
    return result
