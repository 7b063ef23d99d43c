"""Loaders of what `fit` is given, in an order that depends on the seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Optional

import numpy as np
import paddle
from paddle.io import DataLoader, Dataset, DistributedBatchSampler, IterableDataset

from ...data import BatchLoader
from ...distributed.collectives import broadcast_from_rank0, rank, world_size
from ...errors import DataError
from .loader_errors import collate, raising


class SeededBatchSampler(DistributedBatchSampler):
    """Shuffles by a seed and the epoch; the base class shuffles by the epoch alone.

    The seed is drawn from Paddle's generator: the order depends on ``paddle.seed``, and two
    trainings in one process differ. Each rank gets its shard, in training of equal sizes.

    Args:
        dataset, batch_size, drop_last: as in the base class; the batch size is that of one rank.
        shuffle (bool, optional): None is for evaluation: in order, and each sample on one rank.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, shuffle: Optional[bool], drop_last: bool
    ) -> None:
        evaluation, shuffle = shuffle is None, bool(shuffle)
        super().__init__(dataset, batch_size, shuffle=shuffle, drop_last=drop_last)
        self.seed = 0
        if shuffle:
            self.seed = broadcast_from_rank0(lambda: int(paddle.randint(0, 2**31 - 1, [1]).item()))
        if evaluation:
            # The base class repeats some samples, so that all ranks have equally many.
            self.total_size = len(dataset)
            self.num_samples = len(range(self.local_rank, self.total_size, self.nranks))

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.argsort(
                np.random.PCG64([self.seed, self.epoch]).random_raw(len(order)), kind="stable"
            )
            self.epoch += 1
        # In training padded with its own beginning, so that all ranks have equally many.
        order = np.resize(order, self.total_size)
        own = order[self.local_rank :: self.nranks]
        for first in range(0, len(own), self.batch_size):
            batch = own[first : first + self.batch_size].tolist()
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch


def make_loader(
    data: Any, batch_size: int, shuffle: Optional[bool], drop_last: bool, workers: int
) -> Optional[Iterable]:
    """Return a loader of a Dataset; other data yields batches already and is returned as it is.

    On several ranks it is that of this rank's shard, also of a BatchLoader. An error in a Dataset,
    or in a DataLoader of the user's, is raised where the batches are used.

    Args:
        data, batch_size, drop_last, workers: as in ``fit``.
        shuffle: None is for evaluation.
    """
    if isinstance(data, BatchLoader) and data.shard_count == 1 and world_size() > 1:
        return data.shard(rank(), world_size(), every_batch=shuffle is not None)
    if not isinstance(data, Dataset):
        return raising(data)
    if isinstance(data, IterableDataset):
        loader = DataLoader(
            data,
            batch_size=batch_size,
            drop_last=drop_last,
            num_workers=workers,
            return_list=True,
            collate_fn=collate,
        )
    else:
        sampler = SeededBatchSampler(data, batch_size, shuffle, drop_last)
        loader = DataLoader(
            data, batch_sampler=sampler, num_workers=workers, return_list=True, collate_fn=collate
        )
    return raising(loader)


def refuse_arrays(data: Any, name: str, method: str) -> None:
    """Say how arrays are given: as data they would be taken for batches, one sample each.

    Args:
        data: what ``fit`` or ``evaluate`` was given.
        name: its argument.
        method: whose argument it is.

    Raises:
        DataError: it is an array, or a pair of arrays that are images and labels.
    """
    array = (np.ndarray, paddle.Tensor)
    pair = isinstance(data, (list, tuple)) and len(data) == 2
    pair = pair and all(isinstance(each, array) and each.ndim for each in data)
    # Two batches without labels are of one rank; images and their labels are not.
    if pair and len(data[0]) == len(data[1]) and data[0].ndim != data[1].ndim:
        what = "a pair of arrays"
    elif isinstance(data, array):
        what = "an array"
    else:
        return
    raise DataError(
        f"{name} is {what}: give {method} paddle.io.TensorDataset([images, labels]) and a "
        "batch_size, or a list of batches, [(images, labels), ...]."
    )


def length(loader: Any) -> Optional[int]:
    """Return the number of batches; None where the loader does not know it.

    Whatever ``len`` raises means that: Python's TypeError, Paddle's ValueError and RuntimeError, a
    user's NotImplementedError.
    """
    try:
        return len(loader)
    except Exception:
        return None
