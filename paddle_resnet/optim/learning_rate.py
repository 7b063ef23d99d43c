"""Sets the learning rate before every step."""

from __future__ import annotations

from typing import Optional

from paddle.callbacks import Callback, LRScheduler

from ..training.loop.progress import Progress
from .schedules import Schedule


class LearningRate(Callback):
    """Sets ``base * schedule(pace.progress)`` before each step.

    The rate depends on the progress alone, so there is no state to save and no step to miscount.
    Batches of one update have one rate.
    """

    def __init__(self, base: float, schedule: Schedule, pace: Progress) -> None:
        super().__init__()
        self.base = base
        self.schedule = schedule
        self.pace = pace
        #: A further factor, which a plateau lowers.
        self.factor = 1.0

    def on_train_batch_begin(self, step: int, logs: Optional[dict] = None) -> None:
        """Set the rate of this step."""
        if not self.model.is_between_updates:
            return
        self.model._optimizer.set_lr(self.base * self.factor * self.schedule(self.pace.progress))


class UpdateScheduler(LRScheduler):
    """Steps a Paddle scheduler once per update; the base class does it once per batch."""

    def __init__(self) -> None:
        super().__init__(by_step=True)
        self._in_group = False

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Step after the last batch of a group."""
        self._in_group = not self.model.is_between_updates
        if not self._in_group:
            super().on_train_batch_end(step, logs)

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Step for a group that the end of the epoch has cut short.

        Where the loader has no length, nobody knows of a last batch that it is the last: its update
        comes after ``on_train_batch_end``.
        """
        if self._in_group:
            self._in_group = False
            super().on_train_batch_end(-1, logs)
