"""What one pass over labelled images gathers: loss, top-k accuracy, probabilities."""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ..data import BatchLoader
from ..distributed.collectives import all_reduce_array, world_size
from ..errors import TrainingError


class Meter(Protocol):
    """Gathers something from the batches of :func:`~paddle_resnet.evaluation.evaluate.evaluate`."""

    def update(self, outputs: list[Tensor], labels: list[Tensor]) -> None:
        """Add one batch; ``outputs[0]`` are the classifier's logits."""

    def all_reduce(self) -> None:
        """Merge what the ranks gathered: afterwards every rank has all of it."""


class Mean:
    """A mean over samples, from means over batches."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, value: float, count: int) -> None:
        """Add a batch's mean over ``count`` samples."""
        self.total += value * count
        self.count += count

    @property
    def value(self) -> float:
        """The mean so far."""
        return self.total / self.count


class LossMeter:
    """Mean loss over all samples.

    Args:
        loss: computes a loss from outputs and labels, or to several that are added up. Default:
            cross-entropy (natural logarithm).
    """

    def __init__(self, loss: Optional[Callable[..., Any]] = None) -> None:
        self.loss = nn.CrossEntropyLoss() if loss is None else loss
        self.mean = Mean()

    @property
    def value(self) -> float:
        """The mean; not finite if the loss of a batch was not."""
        return self.mean.value

    def update(self, outputs: list[Tensor], labels: list[Tensor]) -> None:
        """Add a batch."""
        losses = self.loss(*outputs, *labels)
        losses = losses if isinstance(losses, (list, tuple)) else [losses]
        self.mean.add(sum(float(each.mean()) for each in losses), int(outputs[0].shape[0]))

    def all_reduce(self) -> None:
        """Add up the sums and the numbers of samples."""
        if world_size() > 1:
            total, count = all_reduce_array([self.mean.total, self.mean.count]).tolist()
            self.mean.total, self.mean.count = total, int(count)


class TopKMeter:
    """Accuracy: the fraction of the samples whose label is among the k largest logits.

    It is if fewer than k classes have a larger logit; of equal logits, that of the lower class
    counts as larger. A sample with a NaN among its logits is wrong.

    Args:
        ks (tuple of int): the values of k. Default: 1 and 5. Values above the number of classes
            count as that number.
    """

    def __init__(self, ks: tuple[int, ...] = (1, 5)) -> None:
        self.ks = ks
        self._correct = np.zeros(len(ks))
        self._count = 0

    def accuracy(self, k: int) -> float:
        """Return the accuracy of one of the values of k, 0 to 1."""
        return float(self._correct[self.ks.index(k)] / self._count)

    def update(self, outputs: list[Tensor], labels: list[Tensor]) -> None:
        """Add a batch."""
        logits = outputs[0].numpy() if _is_float64(outputs[0]) else _float32(outputs[0])
        ranks = label_ranks(logits, labels[0].numpy().reshape(-1))
        self._correct += [(ranks < min(k, logits.shape[1])).sum() for k in self.ks]
        self._count += len(ranks)

    def all_reduce(self) -> None:
        """Add up the counts."""
        if world_size() > 1:
            *correct, count = all_reduce_array([*self._correct, self._count]).tolist()
            self._correct, self._count = np.array(correct), int(count)


def label_ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many classes come before each label: int [N]; all, if one of the logits is NaN.

    Args:
        logits: float [N, classes].
        labels: int [N].
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    lower = np.arange(logits.shape[1]) < labels[:, None]
    ranks = ((logits > own) | ((logits == own) & lower)).sum(axis=1)
    ranks[np.isnan(logits).any(axis=1)] = logits.shape[1]
    return ranks


class ProbabilityMeter:
    """Class probabilities and labels of all samples, in the order of the data set.

    Args:
        loader (BatchLoader): whose batches are evaluated; of several ranks, this rank's shard.
        normalized (bool): whether the logits are logarithms of probabilities already, as those of
            test-time augmentation are. Default: the softmax is taken.
    """

    def __init__(self, loader: BatchLoader, normalized: bool = False) -> None:
        self.loader = loader
        self.normalized = normalized
        self._labels: list[np.ndarray] = []
        self._probabilities: list[np.ndarray] = []

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]."""
        return np.concatenate(self._labels)

    @property
    def probabilities(self) -> np.ndarray:
        """float32 [N, classes], rows sum to 1."""
        return np.concatenate(self._probabilities)

    def update(self, outputs: list[Tensor], labels: list[Tensor]) -> None:
        """Add a batch."""
        if self.normalized:
            probabilities = np.exp(outputs[0].numpy()).astype(np.float32)
        else:
            probabilities = F.softmax(outputs[0].astype("float32"), axis=-1).numpy()
        self._labels.append(labels[0].numpy().reshape(-1))
        self._probabilities.append(probabilities)

    def all_reduce(self) -> None:
        """Put each sample of all shards at its place in the data set.

        Raises:
            TrainingError: a sample was evaluated by no rank, or by several.
        """
        if self.loader.shard_count == 1:
            return
        labels, probabilities = self.labels, self.probabilities
        table = np.zeros((len(self.loader.images), 2 + probabilities.shape[1]))
        table[self.loader.shard_indices()] = np.column_stack(
            [np.ones(len(labels)), labels, probabilities]
        )
        table = all_reduce_array(table)
        if not (table[:, 0] == 1).all():
            raise TrainingError("the ranks have not evaluated each image exactly once.")
        self._labels = [table[:, 1].astype(np.int64)]
        self._probabilities = [table[:, 2:].astype(np.float32)]


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.astype("float32").numpy()


def _is_float64(tensor: Tensor) -> bool:
    return tensor.dtype == paddle.float64
