"""The batches of a training, cut into rounds, with a position to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from ..data import BatchLoader
from .pace import Pace


class TrainingStream:
    """Hands out one round of batches at a time: an epoch, or what the pace makes of it.

    Args:
        loader (BatchLoader): the training images.
        pace (Pace): may end a round early, or have it run on into the next epoch.
        change (callable): takes each batch and returns what to train on. Default: the same.
    """

    def __init__(
        self,
        loader: BatchLoader,
        pace: Pace,
        change: Callable[[tuple], tuple] = lambda batch: batch,
    ) -> None:
        self.loader = loader
        self.pace = pace
        self.change = change
        self.epoch = 0
        self.batch = 0

    @property
    def epochs(self) -> float:
        """Passes over the training images so far."""
        return self.epoch + self.batch / len(self.loader)

    def __iter__(self) -> Iterator[tuple]:
        while True:
            for batch in self.loader.batches(self.epoch, start=self.batch):
                # Counted before it is handed out: whoever saves the position does so after it.
                self.batch += 1
                yield self.change(batch)
                if self.pace.round_is_over():
                    return
            self.epoch, self.batch = self.epoch + 1, 0
            if not self.pace.needs_more:
                return

    def state(self) -> dict[str, int]:
        """Return the position (JSON types): the next batch to train on."""
        if self.batch == len(self.loader):
            return {"epoch": self.epoch + 1, "batch": 0}
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state(self, state: dict[str, int]) -> None:
        """Go on from :meth:`state`."""
        self.epoch, self.batch = state["epoch"], state["batch"]
