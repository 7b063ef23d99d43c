"""Paddle's two callbacks that watch a metric, repaired.

They work in ``paddle.Model.fit`` as well. There they watch the loss of the last batch; in
``ImageClassifier.fit`` means over all samples.
"""

from __future__ import annotations

from typing import Optional

import paddle
from paddle.callbacks import Callback
from paddle.optimizer.lr import LRScheduler


class EarlyStopping(paddle.callbacks.EarlyStopping):
    """Stops when a metric of the evaluation no longer improves.

    Arguments are those of ``paddle.callbacks.EarlyStopping``. With ``patience=0``, the first
    evaluation without an improvement is the last one; in the base class, the first evaluation is.
    """

    def on_train_begin(self, logs: Optional[dict] = None) -> None:
        """Forget an earlier training."""
        # The base class asks "waited >= patience" also when it has not waited at all.
        self.patience = max(self.patience, 1)
        self.stopped_epoch = 0
        super().on_train_begin(logs)


class ReduceLROnPlateau(paddle.callbacks.ReduceLROnPlateau):
    """Lowers the learning rate when a metric of the evaluation no longer improves.

    Arguments are those of ``paddle.callbacks.ReduceLROnPlateau``. There the optimizer keeps the old
    rate, and schedulers are refused; here all rates of a scheduler are scaled.
    """

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Count, and lower the rate if it is time to."""
        optimizer = self.model._optimizer
        own, before = optimizer._learning_rate, float(optimizer.get_lr())
        # The base class puts the new rate there, and expects a number there.
        optimizer._learning_rate = before
        try:
            super().on_eval_end(logs)
            after = optimizer._learning_rate
        finally:
            optimizer._learning_rate = own
        if after == before:
            return
        if isinstance(own, LRScheduler):
            scale_scheduler(own, after / before)
        else:
            optimizer.set_lr(after)


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

    The two share their attributes: whoever passed one in sees in it what happened.
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
