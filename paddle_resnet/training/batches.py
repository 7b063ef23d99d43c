"""Batches out of whatever `fit` is given, in an order that the seed decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Optional

import numpy as np
import paddle
from paddle.io import DataLoader, Dataset, DistributedBatchSampler, IterableDataset


class SeededBatchSampler(DistributedBatchSampler):
    """Shuffles by a seed and the epoch; the base class shuffles by the epoch alone.

    The seed is drawn from Paddle's generator, so that ``paddle.seed`` decides on the order, and two
    trainings in one process differ.
    """

    def __init__(self, dataset: Dataset, batch_size: int, shuffle: bool, drop_last: bool) -> None:
        super().__init__(dataset, batch_size, shuffle=shuffle, drop_last=drop_last)
        self.seed = int(paddle.randint(0, 2**31 - 1, [1]).item()) if shuffle else 0

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.argsort(
                np.random.PCG64([self.seed, self.epoch]).random_raw(len(order)), kind="stable"
            )
            self.epoch += 1
        # Padded with its own beginning, so that all processes have equally many.
        order = np.resize(order, self.total_size)
        own = order[self.local_rank :: self.nranks]
        for first in range(0, len(own), self.batch_size):
            batch = own[first : first + self.batch_size].tolist()
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch


def make_loader(
    data: Any, batch_size: int, shuffle: bool, drop_last: bool, workers: int
) -> Optional[Iterable]:
    """Return a loader of a Dataset; whatever else yields batches already, and stays as it is."""
    if not isinstance(data, Dataset):
        return data
    if isinstance(data, IterableDataset):
        return DataLoader(
            data,
            batch_size=batch_size,
            drop_last=drop_last,
            num_workers=workers,
            return_list=True,
        )
    sampler = SeededBatchSampler(data, batch_size, shuffle, drop_last)
    return DataLoader(data, batch_sampler=sampler, num_workers=workers, return_list=True)


def length(loader: Any) -> Optional[int]:
    """Return the number of batches; None where the loader does not know it."""
    try:
        return len(loader)
    except TypeError:
        return None
