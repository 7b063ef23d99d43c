"""The batches of a training, with a position to resume from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, Optional

from ...data import BatchLoader


class BatchStream:
    """Hands out batches epoch by epoch, and knows which come next.

    Args:
        loader (BatchLoader): the training images.
        endless (bool): whether the next epoch of the loader follows at once, for a plan that ends
            its rounds by the clock. Default: no.
        transform (callable): takes each batch and returns what to train on. Default: the same.
    """

    def __init__(
        self,
        loader: BatchLoader,
        endless: bool = False,
        transform: Callable[[tuple], tuple] = lambda batch: batch,
    ) -> None:
        self.loader = loader
        self.endless = endless
        self.transform = transform
        #: The loader's epoch, and the batches of it that were handed out.
        self.epoch = 0
        self.batch = 0

    @property
    def epoch_length(self) -> Optional[int]:
        """Number of batches of an epoch; None if only the plan ends it."""
        return None if self.endless else len(self.loader)

    @property
    def epochs(self) -> float:
        """Passes over the training images so far."""
        return self.epoch + self.batch / len(self.loader)

    @property
    def at_end(self) -> bool:
        """Whether the batch last handed out was the epoch's last one."""
        return not self.endless and self.batch == len(self.loader)

    def rest_of_epoch(self) -> Iterator[tuple]:
        """Yield the batches of the epoch that were not handed out yet."""
        while True:
            if self.batch == len(self.loader):
                self.epoch, self.batch = self.epoch + 1, 0
            for batch in self.loader.batches(self.epoch, start=self.batch):
                # Counted before it is handed out: the position is saved after the batch's step.
                self.batch += 1
                yield self.transform(batch)
            if not self.endless:
                return

    def state_dict(self) -> dict[str, Any]:
        """Return the next batch to train on, and what determines the batches (JSON types)."""
        done = self.batch == len(self.loader)
        return {
            "epoch": self.epoch + done,
            "batch": 0 if done else self.batch,
            "loader": self.loader.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            DataError: the data or the batches are not those of the run so far.
        """
        self.loader.load_state_dict(state["loader"])
        epoch, batch = state["epoch"], state["batch"]
        self.loader.batches(epoch, batch)  # raises if they do not fit
        self.epoch, self.batch = epoch, batch
