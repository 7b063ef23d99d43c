"""A smaller learning rate when a metric no longer improves."""

from __future__ import annotations

import math
from typing import Any, Callable

from ..loop.callback import Callback
from ..loop.train_state import TrainState


class ReduceOnPlateau(Callback):
    """Multiplies ``learning_rate.plateau_factor`` after ``patience`` evaluations without progress.

    Accuracies improve upwards, all else downwards. NaN is no improvement.

    Args:
        log: takes a sentence for each drop.
        monitor (str): the metric, such as ``val_loss``.
        factor (float): of one drop, above 0 and below 1.
        patience (int): evaluations without an improvement.
        min_delta (float): a value must be better by more than this.
        cooldown (int): evaluations after a drop that do not count.
        min_factor (float): the product of all drops stays at least this.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        monitor: str,
        *,
        factor: float,
        patience: int,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_factor: float = 0.0,
    ) -> None:
        self.log = log
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_factor = min_factor
        self.waited = 0
        self.cooldown_left = 0
        self.best = -math.inf if "acc" in monitor else math.inf

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Count, and lower the rate if it is time to."""
        if self.monitor not in metrics:
            return
        value = float(metrics[self.monitor])
        if self.cooldown_left > 0:
            self.cooldown_left -= 1
            self.waited = 0
        if self._improves(value):
            self.best, self.waited = value, 0
        elif self.cooldown_left == 0:
            self.waited += 1
            if self.waited >= self.patience:
                self._drop(state)

    def _improves(self, value: float) -> bool:
        if "acc" in self.monitor:
            return value > self.best + self.min_delta
        return value < self.best - self.min_delta

    def _drop(self, state: TrainState) -> None:
        before = state.learning_rate.plateau_factor
        if before <= self.min_factor:
            return
        after = max(before * self.factor, self.min_factor)
        state.learning_rate.plateau_factor = after
        self.cooldown_left, self.waited = self.cooldown, 0
        self.log(
            f"plateau: {self.monitor} has not improved since {self.best:.4f}; the learning rate "
            f"is now {after:g} of the schedule's"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, null before the first one, and the counts since then."""
        return {
            "best": self.best if math.isfinite(self.best) else None,
            "waited": self.waited,
            "cooldown_left": self.cooldown_left,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        if state["best"] is not None:
            self.best = float(state["best"])
        self.waited = int(state["waited"])
        self.cooldown_left = int(state["cooldown_left"])
