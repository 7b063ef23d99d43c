"""What happens when nothing improves any more: an end, or a smaller learning rate.

Both callbacks are Paddle's, repaired, and work in ``paddle.Model.fit`` as well. What they watch is
what they are given: ``ImageClassifier`` gives means over samples, ``paddle.Model`` the loss of the
last batch.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import paddle
from paddle.callbacks import Callback
from paddle.optimizer.lr import LRScheduler

from ...optim.learning_rate import LearningRate


class _Resumable(Callback):
    """A callback whose counts a later process can go on with."""

    _KEPT: tuple[str, ...] = ()

    def state(self) -> dict[str, Any]:
        """Return what a later process needs to go on (JSON types)."""
        values = {name: float(getattr(self, name)) for name in self._KEPT}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`, when training begins."""
        self._resumed = state

    def on_train_begin(self, logs: Optional[dict] = None) -> None:
        """Forget an earlier training, but not the one that goes on."""
        super().on_train_begin(logs)
        for name, value in self.__dict__.pop("_resumed", {}).items():
            if value is not None:  # infinity: nothing was seen yet
                setattr(self, name, value)


class EarlyStopping(_Resumable, paddle.callbacks.EarlyStopping):
    """Stops when a figure of the evaluation no longer improves.

    Arguments are those of ``paddle.callbacks.EarlyStopping``. With ``patience=0``, the first
    evaluation without an improvement is the last one; there, any evaluation is.
    """

    _KEPT = ("best_value", "wait_epoch", "stopped_epoch")

    def on_train_begin(self, logs: Optional[dict] = None) -> None:
        """Forget an earlier training."""
        # The base class asks "waited >= patience" also when it has not waited at all.
        self.patience = max(self.patience, 1)
        self.stopped_epoch = 0
        super().on_train_begin(logs)


class StopWithoutProgress(EarlyStopping):
    """The same for a recipe: it says why training ends, and leaves the saving to others."""

    def __init__(self, say: Callable[[str], None], **kwargs: Any) -> None:
        super().__init__(verbose=0, save_best_model=False, **kwargs)
        self.say = say

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Count, and stop when it is time to."""
        super().on_eval_end(logs)
        if self.wait_epoch == self.patience:
            self.say(
                f"early stopping: the validation's {self.monitor} has not improved since "
                f"{self.best_value:.4f}, {self.wait_epoch} evaluations ago"
            )


class ReduceLROnPlateau(_Resumable, paddle.callbacks.ReduceLROnPlateau):
    """Lowers the learning rate when a figure of the evaluation no longer improves.

    Arguments are those of ``paddle.callbacks.ReduceLROnPlateau``. There the optimizer's steps go on
    with the old rate, and schedulers are refused; here a scheduler's rates are all scaled.
    """

    _KEPT = ("best", "wait", "cooldown_counter", "epoch")

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Count, and lower the rate when it is time to."""
        optimizer = self.model._optimizer
        own, before = optimizer._learning_rate, self._rate()
        # The base class puts the new rate there, and wants a number to be there.
        optimizer._learning_rate = before
        try:
            super().on_eval_end(logs)
            after = optimizer._learning_rate
        finally:
            optimizer._learning_rate = own
        if after != before:
            self._set_rate(before, after)

    def _rate(self) -> float:
        return float(self.model._optimizer.get_lr())

    def _set_rate(self, before: float, after: float) -> None:
        optimizer = self.model._optimizer
        if isinstance(optimizer._learning_rate, LRScheduler):
            scale_scheduler(optimizer._learning_rate, after / before)
        else:
            optimizer.set_lr(after)


class ReduceScheduledRate(ReduceLROnPlateau):
    """The same for a recipe: what is lowered is a factor of the scheduled rate."""

    _KEPT = (*ReduceLROnPlateau._KEPT, "factor_now")

    def __init__(self, schedule: LearningRate, say: Callable[[str], None], **kwargs: Any) -> None:
        super().__init__(verbose=0, **kwargs)
        self.schedule = schedule
        self.say = say

    @property
    def factor_now(self) -> float:
        """What the scheduled rate is multiplied by."""
        return self.schedule.factor

    @factor_now.setter
    def factor_now(self, value: float) -> None:
        self.schedule.factor = value

    def _rate(self) -> float:
        return float(self.schedule.factor)

    def _set_rate(self, before: float, after: float) -> None:
        self.schedule.factor = after
        self.say(
            f"plateau: the validation's {self.monitor} has not improved since {self.best:.4f}; "
            f"the learning rate is now {after:g} of the schedule's"
        )


def scale_scheduler(scheduler: LRScheduler, factor: float) -> None:
    """Multiply all rates that a Paddle scheduler will give from now on, the present one included.

    Some compute the next rate from the first one, some from the last, some from a list; one wraps
    another.
    """
    for name in ("base_lr", "last_lr", "start_lr", "end_lr", "eta_min"):
        value = getattr(scheduler, name, None)
        if isinstance(value, (int, float)):
            setattr(scheduler, name, value * factor)
    if isinstance(getattr(scheduler, "values", None), list):
        scheduler.values = [value * factor for value in scheduler.values]
    inner = getattr(scheduler, "learning_rate", None)
    if isinstance(inner, LRScheduler):
        scale_scheduler(inner, factor)
    elif isinstance(inner, (int, float)):
        scheduler.learning_rate = inner * factor


def repair_callback(callback: Callback) -> Callback:
    """Return ours for one of Paddle's two, with the same settings and counts; others as they are.

    The two share their attributes, so that whoever passed one in sees in it what happened.
    """
    ours = {
        paddle.callbacks.EarlyStopping: EarlyStopping,
        paddle.callbacks.ReduceLROnPlateau: ReduceLROnPlateau,
    }.get(type(callback))
    if ours is None:
        return callback
    same = ours.__new__(ours)
    same.__dict__ = callback.__dict__
    return same
