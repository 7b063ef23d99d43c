"""Sets the learning rate before every step."""

from __future__ import annotations

from typing import Optional

from paddle.callbacks import Callback

from ..pace import Pace
from ..schedules import Schedule


class ScheduleLearningRate(Callback):
    """Sets ``base * schedule(pace.progress)`` before each step.

    The rate depends on the progress alone, so there is no state to save and no step to miscount.
    """

    def __init__(self, base: float, schedule: Schedule, pace: Pace) -> None:
        super().__init__()
        self.base = base
        self.schedule = schedule
        self.pace = pace

    def on_train_batch_begin(self, step: int, logs: Optional[dict] = None) -> None:
        """Set the rate of this step."""
        self.model._optimizer.set_lr(self.base * self.schedule(self.pace.progress))
