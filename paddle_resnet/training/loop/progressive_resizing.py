"""Images that grow during a training: its first epochs cost a fraction of the time."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...config import Config
from ...data.augment.resize import resize_batch
from .progress import Progress


def image_size_at(fraction: float, full: int, initial_scale: float, full_scale_at: float) -> int:
    """Return the side of the images at a fraction of the training, in pixels.

    It grows linearly from ``initial_scale * full`` to ``full``, which it reaches at
    ``full_scale_at``, in steps of an eighth of the full size: a new size costs time (memory, choice
    of kernels), and networks halve the side a few times.
    """
    if fraction >= full_scale_at:
        return full
    scale = initial_scale + (1 - initial_scale) * fraction / full_scale_at
    step = max(full // 8, 1)
    return min(max(int(scale * full / step + 1e-9) * step, step), full)


class ProgressiveResizing:
    """Scales batches down to the size that belongs to the fraction of a training.

    The fraction is part of checkpoints, so a resumed run sees the same sizes.

    Args:
        progress: of the training.
        initial_scale, full_scale_at: see `image_size_at`.
    """

    def __init__(self, progress: Progress, initial_scale: float, full_scale_at: float) -> None:
        self.progress = progress
        self.initial_scale = initial_scale
        self.full_scale_at = full_scale_at

    def __call__(self, batch: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        """Return the batch with smaller images."""
        images, *rest = batch
        full = min(images.shape[2:])
        size = image_size_at(self.progress.fraction, full, self.initial_scale, self.full_scale_at)
        return (resize_batch(images, size), *rest)


def make_progressive_resizing(config: Config, progress: Progress) -> Callable[[tuple], tuple]:
    """Return what a recipe does to each batch before it is trained on."""
    if config.augment.initial_scale == 1:
        return lambda batch: batch
    return ProgressiveResizing(progress, config.augment.initial_scale, config.augment.full_scale_at)
