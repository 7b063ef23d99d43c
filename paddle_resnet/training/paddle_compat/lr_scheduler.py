"""Paddle's learning-rate schedulers, stepped once per update."""

from __future__ import annotations

from typing import Optional

from paddle.callbacks import LRScheduler


class UpdateScheduler(LRScheduler):
    """Steps a Paddle scheduler once per update; the base class does it once per batch."""

    def __init__(self) -> None:
        super().__init__(by_step=True)
        self._waits = False

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Step after the last batch of an update."""
        self._waits = not self.model.is_between_updates
        if not self._waits:
            super().on_train_batch_end(step, logs)

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Step for an update that the end of the epoch cut short.

        If the loader has no length, no batch is known to be the last one: the update comes after
        ``on_train_batch_end``.
        """
        if self._waits:
            self._waits = False
            super().on_train_batch_end(-1, logs)
