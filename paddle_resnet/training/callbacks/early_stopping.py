"""The end of a training whose metric no longer improves."""

from __future__ import annotations

import math
from typing import Any, Callable

from ..loop.callback import Callback
from ..loop.train_state import TrainState


class EarlyStopping(Callback):
    """Stops training after ``patience`` evaluations without an improvement.

    Accuracies improve upwards, all else downwards. NaN is no improvement.

    Args:
        log: takes the sentence that says why training ends.
        monitor (str): the metric, such as ``val_acc_top1``.
        patience (int): 0 counts as 1: an evaluation that improves is no reason to stop.
        min_delta (float): a value must be better by more than this. Default: 0.
    """

    def __init__(
        self, log: Callable[[str], None], monitor: str, patience: int, min_delta: float = 0.0
    ) -> None:
        self.log = log
        self.monitor = monitor
        self.patience = max(patience, 1)
        self.min_delta = min_delta
        self.waited = 0
        self.best = -math.inf if "acc" in monitor else math.inf

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Count, and stop if it is time to."""
        if self.monitor not in metrics:
            return
        value = float(metrics[self.monitor])
        if self._improves(value):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited < self.patience:
            return
        state.stop_reason = (
            f"early stopping: {self.monitor} has not improved since {self.best:.4f}, "
            f"{self.waited} evaluations ago"
        )
        self.log(state.stop_reason)

    def _improves(self, value: float) -> bool:
        if "acc" in self.monitor:
            return value - self.min_delta > self.best
        return value + self.min_delta < self.best

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, null before the first one, and the evaluations since then."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        if state["best"] is not None:
            self.best = float(state["best"])
        self.waited = int(state["waited"])
