"""The batches of a training, cut into rounds, with a position to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

from ...data import BatchLoader
from .progress import Progress


class BatchStream:
    """Hands out one round of batches at a time: an epoch, or what the pace makes of it.

    Args:
        loader (BatchLoader): the training images.
        pace (Progress): may end a round early, or have it run on into the next epoch.
        change (callable): takes each batch and returns what to train on. Default: the same.
    """

    def __init__(
        self,
        loader: BatchLoader,
        pace: Progress,
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

    def state(self) -> dict[str, Any]:
        """Return the next batch to train on, and what makes the batches what they are."""
        done = self.batch == len(self.loader)
        return {
            "epoch": self.epoch + done,
            "batch": 0 if done else self.batch,
            "loader": self.loader.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`.

        Raises:
            DataError: the data or the batches are not those of the run so far.
        """
        self.loader.load_state(state["loader"])
        epoch, batch = state["epoch"], state["batch"]
        self.loader.batches(epoch, batch)  # says what is wrong with them
        self.epoch, self.batch = epoch, batch
