"""Speed of `BatchLoader` against Paddle's loader with the same work, on one core."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .. import cpu_runtime
from ..data import CIFAR10_MEAN, CIFAR10_STD, BatchLoader


def measure(
    *, batch_size: int = 128, rounds: int = 5, paddle_images: int = 1024, our_images: int = 40_960
) -> dict[str, object]:
    """Measure both loaders in turn, in one process on one core, up to tensors in Paddle's hands.

    Both shuffle, pad by 4, crop to 32 x 32, flip and normalise real CIFAR-10 training images. The
    turns alternate and the clock is the process's own CPU time, so that other work on the machine
    weighs on both alike and as little as can be. Where nothing else runs, a second of CPU time is
    a second, since both loaders compute without a pause.

    Args:
        batch_size: Images in a batch. Default: 128.
        rounds: Turns of each loader. Default: 5.
        paddle_images: Images in a turn of `paddle.io.DataLoader`.
        our_images: Images in a turn of `BatchLoader`; more, for a turn of comparable length.

    Returns:
        ``ours`` and ``paddle`` (median images per second of CPU time), ``ratio`` (median over the
        rounds of the ratio in a round), ``ratio_min``, ``ratio_max``, ``rounds``, ``batch_size``
        and ``data`` (where the images came from).

    Raises:
        DataError: ``batch_size`` is below 1.
    """
    import paddle
    from paddle.vision import transforms

    from ..data import Cifar10

    pipeline = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(CIFAR10_MEAN, CIFAR10_STD),
        ]
    )
    dataset = Cifar10(mode="train", transform=pipeline, backend="pil")
    ours = BatchLoader(
        dataset.images,
        dataset.labels,
        batch_size,
        shuffle=True,
        crop_padding=4,
        flip=True,
        mean=CIFAR10_MEAN,
        std=CIFAR10_STD,
    )
    # A short data set read to its end: Paddle reads ahead in a thread, which would run into our
    # turn if it were left in the middle.
    subset = paddle.io.Subset(dataset, range(min(paddle_images, len(dataset))))
    theirs = paddle.io.DataLoader(subset, batch_size=batch_size, shuffle=True, num_workers=0)

    def our_batches() -> Iterator[tuple]:
        while True:
            for images, labels in ours:
                yield paddle.to_tensor(images), paddle.to_tensor(labels)

    our_speeds, their_speeds = [], []
    with _one_core():
        for _ in range(1 + rounds):
            their_speeds.append(_images_per_second(theirs, paddle_images))
            our_speeds.append(_images_per_second(our_batches(), our_images))
    # The first round only warms up: it loads code and fills caches.
    del our_speeds[0], their_speeds[0]
    ratios = [ours / theirs for ours, theirs in zip(our_speeds, their_speeds)]
    return {
        "ours": statistics.median(our_speeds),
        "paddle": statistics.median(their_speeds),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "rounds": rounds,
        "batch_size": batch_size,
        "data": dataset.source,
    }


def _images_per_second(batches: Iterable, at_least: int) -> float:
    done, begin = 0, time.process_time()
    for images, _ in batches:
        done += images.shape[0]
        if done >= at_least:
            break
    return done / (time.process_time() - begin)


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process on one core, if the system supports it, and undo that afterwards."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    # OpenMP keeps for good the cores that it finds when it starts, also those of later threads and
    # processes: it starts before there is only one.
    cpu_runtime.start_openmp()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
