"""Images that grow while the training goes on: the first epochs cost a fraction of the time."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...config import Config
from ...data.augment.resize import resize_batch
from .progress import Progress


def image_size_at(progress: float, full: int, size_from: float, size_until: float) -> int:
    """Return the side of the images at a progress from 0 to 1, in pixels.

    It grows linearly from ``size_from * full`` to ``full``, where it is at ``size_until``, in steps
    of an eighth of the full size: a new size costs time (memory, chosen kernels), and networks
    want sides that halve a few times.
    """
    if progress >= size_until:
        return full
    share = size_from + (1 - size_from) * progress / size_until
    step = max(full // 8, 1)
    return min(max(int(share * full / step + 1e-9) * step, step), full)


class ProgressiveResizing:
    """Scales batches down to the size that belongs to the progress of a training.

    The progress is part of a run's saved state, so a resumed run sees the same sizes.

    Args:
        pace: knows the progress.
        size_from, size_until: see `image_size_at`.
    """

    def __init__(self, pace: Progress, size_from: float, size_until: float) -> None:
        self.pace = pace
        self.size_from = size_from
        self.size_until = size_until

    def __call__(self, batch: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        """Return the batch with smaller images."""
        images, *rest = batch
        full = min(images.shape[2:])
        side = image_size_at(self.pace.progress, full, self.size_from, self.size_until)
        return (resize_batch(images, side), *rest)


def make_progressive_resizing(config: Config, pace: Progress) -> Callable[[tuple], tuple]:
    """Return what a recipe wants done to each batch before it is trained on."""
    if config.augment.size_from == 1:
        return lambda batch: batch
    return ProgressiveResizing(pace, config.augment.size_from, config.augment.size_until)
