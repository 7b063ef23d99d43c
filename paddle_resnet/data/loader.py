"""Whole batches at once: shuffle, crop, flip and normalise with a few numpy calls per batch.

`paddle.io.DataLoader` with `paddle.vision.transforms` handles one image at a time, in Python. On
small images that costs far more than a small network's own computation.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional, Union

import numpy as np

from ..errors import DataError, for_display
from .augment import random_resized_crop, rng
from .augment.mixup import MixedBatch, mix
from .augment.options import NO_AUGMENT, Augment
from .augment.random_erasing import CUTOUT_WORDS, ERASE_WORDS, cutout, random_erasing
from .augment.transforms import flip, pad_and_crop, scale_and_shift, to_float
from .augment.trivial_augment import WORDS as POLICY_WORDS
from .augment.trivial_augment import trivial_augment
from .folder.image_files import Images, random_crops, take
from .prefetch import prefetch

# Over all pixels of the 50,000 training images. The often copied deviation 0.2023 is the average
# of the deviations within single images, which is smaller.
CIFAR10_MEAN = (0.49140, 0.48216, 0.44653)
CIFAR10_STD = (0.24703, 0.24349, 0.26159)

Batch = Union[tuple[np.ndarray, np.ndarray], MixedBatch]

#: Kind of random choice to the number of random words per image.
_WORDS = {
    rng.CROP: random_resized_crop.WORDS,
    rng.POLICY: POLICY_WORDS,
    rng.ERASE: ERASE_WORDS,
    rng.CUTOUT: CUTOUT_WORDS,
    rng.FLIP: 1,
}
_FACTS = {
    "images": "a number of training images of",
    "batch_size": "a batch size of",
    "seed": "the seed",
    "labels": "labels with the checksum",
}


class BatchLoader:
    """Iterable over ``(images, labels)`` batches; `paddle.Model.fit` takes it as ``train_data``.

    A pass over the data is an epoch. Its order and augmentation depend on ``(seed, epoch)`` alone,
    down to the last bit and in every numpy version: neither on what was read before, nor on any
    global random state. So an interrupted epoch can be resumed at any batch; see `batches`.

    Args:
        images: uint8 [N, C, H, W]. Kept, not copied. Or `ImageFiles`, which decode themselves.
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
        augment: Further augmentation; see `Augment`. Default: none.
        workers: Threads that prefetch batches, for images that must be decoded. Their number does
            not change the batches. Default: 0, no prefetching.

    Yields:
        numpy arrays that the caller may keep and change: images, float32 [B, C, H, W], which are
        ``(pixel / 255 - mean) / std``, and labels, int64 [B]. Where ``augment`` mixes images,
        `MixedBatch`: images, labels, the labels of the images mixed in, the share of the former.

    Raises:
        DataError: An argument of wrong type, shape or size, or a ``batch_size`` above N together
            with ``drop_last``, which would leave no batch at all.
    """

    def __init__(
        self,
        images: Images,
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
        augment: Augment = NO_AUGMENT,
        workers: int = 0,
    ) -> None:
        if getattr(images, "dtype", None) != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise DataError(f"images must be uint8 [N, C, H, W], but are {_describe(images)}.")
        # 3 columns of at least 8 rows and 8 channels are no image, but one with its channels last.
        if images.shape[3] in (1, 3) and min(images.shape[1:3]) >= 8:
            raise DataError(
                f"images must be uint8 [N, C, H, W], but are {_describe(images)}, with the "
                "channels last: images.transpose(0, 3, 1, 2) puts them first."
            )
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
        self.augment = augment
        self.workers = _integer("workers", workers, 0)
        self.epoch = 0
        #: Which shard of each batch this loader makes, of how many.
        self.shard_index, self.shard_count = 0, 1
        if self.crop_padding and augment.random_resized_crop:
            raise DataError(
                "crop_padding and augment.random_resized_crop are two ways to crop: "
                "choose one of them."
            )
        if augment.alternate_flip and not flip:
            raise DataError("alternate_flip says how to flip: it has no effect without flip.")
        if augment.random_resized_crop and images.shape[2] != images.shape[3]:
            raise DataError(
                f"random_resized_crop needs square images, but they are {images.shape[2:]}."
            )
        if drop_last and batch_size > len(images):
            raise DataError(
                f"batch_size {batch_size} is larger than the data set of {len(images)} images, "
                "and drop_last leaves out batches that are not full: nothing would remain."
            )
        self._scale, self._shift = scale_and_shift(images.shape[1], mean, std)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.images), self.batch_size)
        return full if self.drop_last or rest == 0 else full + 1

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over the current epoch; the next call of `iter` is for the next one."""
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next `iter` (0 is the first)."""
        self.epoch = _integer("epoch", epoch, 0)

    def subset(self, indices: np.ndarray) -> BatchLoader:
        """Return a loader of some of the images, in the order given, normalised alike.

        It neither shuffles nor augments: it is for evaluation.
        """
        loader = BatchLoader(
            take(self.images, indices), self.labels[indices], self.batch_size, workers=self.workers
        )
        loader._scale, loader._shift = self._scale, self._shift
        return loader

    def shard(self, index: int, count: int, *, every_batch: bool = False) -> BatchLoader:
        """Return a loader of one shard of each batch, for one of several processes.

        The shards of all processes, one after the other, are the batch that this loader makes, to
        the last bit: what happens to an image depends on its place in the epoch, not on the
        process. The shards' sizes differ by 1 at most.

        Args:
            index: which shard, from 0.
            count: of how many.
            every_batch: refuse a data set with a batch that has less than ``count`` images.
                Default: such a batch is left out by the loaders whose shard of it is empty.

        Raises:
            DataError: a batch, or the data set, has less than ``count`` images.
        """
        total = len(self.images)
        last = total % self.batch_size if not self.drop_last else 0
        fewest = last if every_batch and last else min(self.batch_size, total)
        if fewest < count:
            last = " last" if fewest == last else ""
            raise DataError(
                f"a{last} batch of {fewest} images cannot be shared by {count} processes: choose "
                "a larger batch_size" + (", or drop_last." if last else ".")
            )
        loader = copy.copy(self)
        loader.shard_index, loader.shard_count = index, count
        return loader

    def shard_indices(self) -> np.ndarray:
        """Return where in an epoch's order the images of this loader's shards are: int64 [n]."""
        rows = [self._rows(index) for index in range(len(self))]
        return np.concatenate([np.arange(each.start, each.stop) for each in rows])

    def state_dict(self) -> dict[str, int]:
        """Return what the batches depend on, besides the epoch."""
        return {
            "images": len(self.images),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "labels": zlib.crc32(self.labels.tobytes()),
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Check that the batches are those of :meth:`state_dict`, in whatever process that was.

        Raises:
            DataError: they are not.
        """
        now = self.state_dict()
        for key, value in now.items():
            if state[key] != value:
                raise DataError(
                    f"this run had {_FACTS[key]} {for_display(state[key])} so far, and now "
                    f"{for_display(value)}: it can only be resumed with what it began with."
                )

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Iterate over one epoch, from its batch ``start`` on.

        Args:
            epoch: Which epoch, 0 or more. The counter behind `iter` is not touched.
            start: Batches to skip, at no cost.

        Raises:
            DataError: ``epoch`` is negative, or ``start`` is not between 0 and ``len(self)``.
        """
        epoch = _integer("epoch", epoch, 0)
        if _integer("start", start, 0) > len(self):
            raise DataError(f"start is {start}, but an epoch has only {len(self)} batches.")
        # Not a generator itself: wrong arguments raise here and not at the first batch.
        return self._generate(epoch, start)

    def _generate(self, epoch: int, start: int) -> Iterator[Batch]:
        plan = self._plan(epoch)
        indices = [index for index in range(start, len(self)) if self._size(index)]
        if self.workers:
            return prefetch(lambda index: self._batch(plan, index), indices, self.workers)
        return (self._batch(plan, index) for index in indices)

    def _plan(self, epoch: int) -> _EpochPlan:
        """Draw the random order, crops and flips of an epoch."""
        total, padding = len(self.images), self.crop_padding
        # Raw words: NumPy guarantees that these never change, but not what is derived from them,
        # such as `Generator.permutation`.
        words = np.random.PCG64([self.seed, epoch]).random_raw(2 * total)
        order = np.argsort(words[:total], kind="stable") if self.shuffle else None
        # One word an image: its low half places the crop's row, the next 31 bits its column, the
        # top bit says whether to flip. The bias of `%` is below 1e-7.
        words = words[total:]
        places = np.uint64(2 * padding + 1)
        rows = ((words & np.uint64(0xFFFFFFFF)) % places).astype(np.intp)
        columns = ((words >> np.uint64(32) & np.uint64(0x7FFFFFFF)) % places).astype(np.intp)
        flips = (words >> np.uint64(63)).astype(bool)
        if self.augment.alternate_flip:
            # Per image, not per position in the order: each image alternates between both sides.
            sides = rng.random_words(self.seed, 0, rng.FLIP, 0, total, 1)[:, 0] >> np.uint64(63)
            flips = (sides if order is None else sides[order]) != epoch % 2
        # Reused for every batch: only its inside is written, and it is never yielded. Threads
        # need one each.
        padded = self._padded() if padding and not self.workers else None
        return _EpochPlan(epoch, order, rows, columns, flips, padded)

    def _padded(self) -> np.ndarray:
        _, channels, height, width = self.images.shape
        more = 2 * self.crop_padding
        size = min(self.batch_size, len(self.images))
        return np.zeros((size, channels, height + more, width + more), np.uint8)

    def _batch(self, plan: _EpochPlan, index: int) -> Batch:
        """Compute one batch, from the plan and the index alone, in any thread."""
        augment = self.augment
        own = self._rows(index)
        # Mixing needs the whole batch, even if this loader yields a shard of it.
        rows = self._whole(index) if augment.mixes else own
        chosen = rows if plan.order is None else plan.order[rows]
        pixels = self._pixels(plan, rows, chosen)
        if augment.trivial_augment:
            pixels = trivial_augment(pixels, self._words(plan, rows, rng.POLICY))
        images = to_float(pixels, self._scale, self._shift)
        if augment.random_erasing:
            words = self._words(plan, rows, rng.ERASE)
            random_erasing(images, words, augment.random_erasing)
        if augment.cutout:
            cutout(images, self._words(plan, rows, rng.CUTOUT), augment.cutout)
        labels = self.labels[chosen].copy()
        if not augment.mixes:
            return images, labels
        mixed = mix(
            images,
            labels,
            mixup=augment.mixup,
            cutmix=augment.cutmix,
            seed=self.seed,
            epoch=plan.epoch,
            batch=index,
        )
        return MixedBatch(*(each[own.start - rows.start : own.stop - rows.start] for each in mixed))

    def _pixels(
        self, plan: _EpochPlan, rows: slice, chosen: Union[slice, np.ndarray]
    ) -> np.ndarray:
        """Read, crop and flip images: uint8 [B, C, H, W], which may be a view of all images."""
        smallest = self.augment.random_resized_crop
        if smallest:
            chances = rng.uniform(self._words(plan, rows, rng.CROP))
            pixels = random_crops(self.images, chosen, chances, smallest)
        else:
            pixels = self.images[chosen]
        if self.crop_padding:
            padded = self._padded() if plan.padded is None else plan.padded
            pixels = pad_and_crop(pixels, padded, plan.rows[rows], plan.columns[rows])
        if self.flip:
            # A slice of an array is still a view of the caller's images.
            if plan.order is None and not self.crop_padding and pixels.base is not None:
                pixels = pixels.copy()
            flip(pixels, plan.flips[rows])
        return pixels

    def _words(self, plan: _EpochPlan, rows: slice, kind: int) -> np.ndarray:
        """Return the random words of images: uint64 [B, as many as the transform needs]."""
        size = rows.stop - rows.start
        return rng.random_words(self.seed, plan.epoch, kind, rows.start, size, _WORDS[kind])

    def _whole(self, index: int) -> slice:
        """Return the places of a batch in the epoch's order."""
        return slice(index * self.batch_size, min((index + 1) * self.batch_size, len(self.images)))

    def _rows(self, index: int) -> slice:
        """Return the places of this loader's shard of a batch."""
        whole = self._whole(index)
        size = whole.stop - whole.start
        start, stop = (
            whole.start + size * shard // self.shard_count
            for shard in (self.shard_index, self.shard_index + 1)
        )
        return slice(start, stop)

    def _size(self, index: int) -> int:
        rows = self._rows(index)
        return rows.stop - rows.start


class _EpochPlan(NamedTuple):
    """Random choices of an epoch."""

    epoch: int
    order: Optional[np.ndarray]
    rows: np.ndarray
    columns: np.ndarray
    flips: np.ndarray
    padded: Optional[np.ndarray]


def _integer(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise DataError(
            f"{name} must be an integer of {least} or more, not {for_display(repr(value))}."
        )
    return int(value)


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return f"a {type(value).__name__}"
