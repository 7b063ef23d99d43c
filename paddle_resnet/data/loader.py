"""Whole batches at once: shuffle, crop, flip and normalise with a few numpy calls per batch.

`paddle.io.DataLoader` with `paddle.vision.transforms` handles one image at a time, in Python. On
small images that costs far more than a small network's own computation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import DataError

# Over all pixels of the 50,000 training images. The often copied deviation 0.2023 is the average
# of the deviations within single images, which is smaller.
CIFAR10_MEAN = (0.49140, 0.48216, 0.44653)
CIFAR10_STD = (0.24703, 0.24349, 0.26159)


class BatchLoader:
    """Iterate over ``(images, labels)`` batches; `paddle.Model.fit` takes it as ``train_data``.

    A pass over the data is an epoch. Its order and augmentation depend on ``(seed, epoch)`` alone,
    down to the last bit and in every numpy version: neither on what was read before, nor on any
    global random state. So an interrupted epoch can go on at any batch; see `batches`.

    Args:
        images: uint8 [N, C, H, W]. Kept, not copied.
        labels: Class of each image, integers [N].
        batch_size: Images in a batch.
        shuffle: Read in another order in each epoch. Default: the order given.
        drop_last: Leave the last batch out when it is not full. Default: yield it smaller.
        seed: Start of the random order and augmentation, 0 or more.
        crop_padding: Where above 0, surround each image by this many black pixels (0 before
            normalisation, as in the ResNet paper and torchvision) and cut a random H x W part out.
        flip: Mirror each image left to right with probability 1/2.
        mean: Mean of each of the C channels on the scale from 0 to 1. Default: none is subtracted.
        std: Standard deviation of each channel on the same scale. Default: 1.

    Yields:
        numpy arrays that the caller may keep and change: images, float32 [B, C, H, W], which are
        ``(pixel / 255 - mean) / std``, and labels, int64 [B].

    Raises:
        DataError: An argument of wrong type, shape or size, or a ``batch_size`` above N together
            with ``drop_last``, which would leave no batch at all.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        crop_padding: int = 0,
        flip: bool = False,
        mean: Optional[Sequence[float]] = None,
        std: Optional[Sequence[float]] = None,
    ) -> None:
        if getattr(images, "dtype", None) != np.uint8 or images.ndim != 4 or images.size == 0:
            raise DataError(f"images must be uint8 [N, C, H, W], but are {_describe(images)}.")
        labels = np.asarray(labels)
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
            raise DataError(
                f"labels must be integers [{len(images)}], one for each image, "
                f"but are {_describe(labels)}."
            )
        self.images = images
        self.labels = labels.astype(np.int64)
        self.batch_size = _integer("batch_size", batch_size, 1)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = _integer("seed", seed, 0)
        self.crop_padding = _integer("crop_padding", crop_padding, 0)
        self.flip = flip
        self.epoch = 0
        if drop_last and batch_size > len(images):
            raise DataError(
                f"batch_size {batch_size} is larger than the data set of {len(images)} images, "
                "and drop_last leaves out batches that are not full: nothing would remain."
            )
        self._scale, self._shift = _affine(images.shape[1], mean, std)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full if self.drop_last or rest == 0 else full + 1

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Iterate over the current epoch; the next call of `iter` is for the next one."""
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter` be for ``epoch`` (0 is the first)."""
        self.epoch = _integer("epoch", epoch, 0)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Iterate over one epoch, from its batch ``start`` on.

        Args:
            epoch: Which epoch, 0 or more. The counter behind `iter` is not touched.
            start: How many batches to leave out; they cost no time.

        Raises:
            DataError: ``epoch`` is negative, or ``start`` is not between 0 and ``len(self)``.
        """
        epoch = _integer("epoch", epoch, 0)
        if _integer("start", start, 0) > len(self):
            raise DataError(f"start is {start}, but an epoch has only {len(self)} batches.")
        # A generator of its own, so that wrong arguments show here and not at the first batch.
        return self._generate(epoch, start)

    def _generate(self, epoch: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        total, padding = len(self.images), self.crop_padding
        # Raw words, since numpy promises that these never change, and promises it of nothing
        # that is built upon them, such as `Generator.permutation`.
        words = np.random.PCG64([self.seed, epoch]).random_raw(2 * total)
        order = np.argsort(words[:total], kind="stable") if self.shuffle else None
        # One word an image: its low half places the crop's row, the next 31 bits its column, the
        # top bit says whether to flip. The bias of `%` is below 1e-7.
        words = words[total:]
        places = np.uint64(2 * padding + 1)
        rows = ((words & np.uint64(0xFFFFFFFF)) % places).astype(np.intp)
        columns = ((words >> np.uint64(32) & np.uint64(0x7FFFFFFF)) % places).astype(np.intp)
        flips = (words >> np.uint64(63)).astype(bool)

        _, channels, height, width = self.images.shape
        counter = np.arange(min(self.batch_size, total))
        if padding:
            # Reused from batch to batch, since only its inside is ever written; never yielded.
            padded = np.zeros(
                (len(counter), channels, height + 2 * padding, width + 2 * padding), np.uint8
            )
            inside = padded[:, :, padding:-padding, padding:-padding]
            windows = sliding_window_view(padded, (height, width), axis=(2, 3))

        for first in range(start * self.batch_size, len(self) * self.batch_size, self.batch_size):
            here = slice(first, min(first + self.batch_size, total))
            size = here.stop - first
            chosen = here if order is None else order[here]
            pixels = self.images[chosen]
            if padding:
                inside[:size] = pixels
                pixels = windows[counter[:size], :, rows[here], columns[here]]
            if self.flip:
                flipped = flips[here]
                # Where nothing has made a copy yet, `pixels` is a view of the caller's images.
                if order is None and not padding:
                    pixels = pixels.copy()
                pixels[flipped] = pixels[flipped][..., ::-1]
            images = pixels.astype(np.float32)
            images *= self._scale
            if self._shift is not None:
                images += self._shift
            yield images, self.labels[chosen].copy()


def _affine(
    channels: int, mean: Optional[Sequence[float]], std: Optional[Sequence[float]]
) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Turn ``(pixel / 255 - mean) / std`` into ``pixel * scale + shift``: two passes, not four."""
    values = {}
    for name, given in (("mean", mean), ("std", std)):
        if given is None:
            continue
        try:
            values[name] = np.array(given, np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{name} must be {channels} numbers, not {given!r}.") from None
        if values[name].shape != (channels,) or not np.isfinite(values[name]).all():
            raise DataError(f"{name} must be {channels} numbers, one a channel, not {given!r}.")
    deviation = values.get("std", np.ones(channels))
    if (deviation <= 0).any():
        raise DataError(f"std must be above 0 in every channel, not {std!r}.")
    shape = (channels, 1, 1)
    scale = (1 / (255 * deviation)).astype(np.float32).reshape(shape)
    if "mean" not in values:
        return scale, None
    return scale, (-values["mean"] / deviation).astype(np.float32).reshape(shape)


def _integer(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise DataError(f"{name} must be an integer of {least} or more, not {value!r}.")
    return int(value)


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return f"a {type(value).__name__}"
