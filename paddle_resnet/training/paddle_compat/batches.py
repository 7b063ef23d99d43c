"""Batches of any loader, as lists of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

from .batch_errors import to_tensor
from .dataset_loader import length


class LoaderBatches:
    """The training batches of ``fit``: a loader is read from its beginning in every epoch.

    Args:
        loader: yields batches.
        split: turns one into lists of input and label tensors.
    """

    def __init__(self, loader: Iterable, split: Callable[[Any], tuple[list, list]]) -> None:
        self.loader = loader
        self.split = split
        self.epoch_length: Optional[int] = length(loader)
        self._handed_out = 0

    @property
    def at_end(self) -> bool:
        """Whether the batch last handed out is known to be the epoch's last one."""
        return self._handed_out == self.epoch_length

    def rest_of_epoch(self) -> Iterator[tuple[list, list]]:
        """Yield the batches of an epoch."""
        self._handed_out = 0
        for batch in self.loader:
            self._handed_out += 1
            yield self.split(batch)


def tensors(data: Any) -> list:
    """Return the tensors of a batch, or of one side of it; None is nothing."""
    return [] if data is None else [to_tensor(each) for each in _flatten(data)]


def _flatten(data: Any) -> Iterator[Any]:
    """Yield what is in a batch in order, of a dict by the names of its entries, as Paddle does."""
    if isinstance(data, dict):
        parts = [data[name] for name in sorted(data)]
    else:
        parts = data if isinstance(data, (list, tuple)) else [data]
    for each in parts:
        if isinstance(each, (list, tuple, dict)):
            yield from _flatten(each)
        else:
            yield each
