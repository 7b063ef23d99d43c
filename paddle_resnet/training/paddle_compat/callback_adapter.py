"""The events of our loop, as the callbacks of ``paddle.Model`` know them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Optional, Union

import paddle
from paddle.callbacks import EarlyStopping, LRScheduler, ModelCheckpoint, ProgBarLogger
from paddle.hapi.callbacks import CallbackList
from paddle.optimizer.lr import LRScheduler as Schedule

from ...formatting import metrics_text
from ..callbacks.progress_bar import ProgressBar
from ..loop.callback import Callback
from ..loop.train_state import StepResult, TrainState
from .history import History
from .lr_scheduler import UpdateScheduler
from .repaired_callbacks import repair_callback

PaddleCallbacks = Union[paddle.callbacks.Callback, Sequence[paddle.callbacks.Callback], None]


class CallbackAdapter(Callback):
    """Forwards our events to Paddle's callbacks, in Paddle's order and with Paddle's logs.

    They keep every right that they have in ``paddle.Model``.

    Args:
        model (paddle.Model): its ``stop_training`` ends the training.
        callbacks (CallbackList): Paddle's.
        history (History): gets a row per epoch.
    """

    def __init__(self, model: Any, callbacks: CallbackList, history: History) -> None:
        self.model = model
        self.callbacks = callbacks
        self.history = history
        #: What the last event was given. Paddle passes it to the start of the next step.
        self.logs: dict[str, Any] = {}

    def on_fit_start(self, state: TrainState) -> None:
        """Call ``on_train_begin``."""
        self.callbacks.on_begin("train")
        self.read_stop(state)

    def on_epoch_start(self, state: TrainState) -> None:
        """Call ``on_epoch_begin``."""
        self.logs = {}
        self.callbacks.on_epoch_begin(state.progress.epoch)

    def on_step_start(self, state: TrainState) -> None:
        """Call ``on_train_batch_begin``."""
        self.callbacks.on_batch_begin("train", state.epoch_means.steps, dict(self.logs))

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Call ``on_train_batch_end``."""
        step = state.epoch_means.steps - 1
        means = as_logs(state.epoch_means.values())
        self.logs = {**means, "step": step, "batch_size": result.images}
        self.callbacks.on_batch_end("train", step, dict(self.logs))
        self.read_stop(state)

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Add a row to the history and call ``on_epoch_end``."""
        self.logs = {**as_logs(metrics), **{k: self.logs[k] for k in ("step", "batch_size")}}
        epoch = state.progress.epoch
        self.history.rows.append({"epoch": epoch, **_plain(metrics)})
        self.callbacks.on_epoch_end(epoch - 1, self.logs)
        self.read_stop(state)

    def on_fit_end(self, state: TrainState) -> None:
        """Call ``on_train_end``."""
        self.callbacks.on_end("train", self.logs)

    def read_stop(self, state: TrainState) -> None:
        """End the training if a callback asked for it."""
        if self.model.stop_training:
            state.stop_reason = "a callback set stop_training"


class PaddleProgressBar(paddle.callbacks.Callback):
    """Our progress bar, during Paddle's evaluation and prediction.

    Args:
        bar (ProgressBar): the bar.
        in_fit (bool): whether the result is part of an epoch's line. Default: it gets its own.
    """

    def __init__(self, bar: ProgressBar, in_fit: bool = False) -> None:
        super().__init__()
        self.bar = bar
        self.in_fit = in_fit

    def on_eval_begin(self, logs: Optional[dict] = None) -> None:
        """Open a bar."""
        self.bar.open("evaluating", (logs or {}).get("steps"))

    def on_eval_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Redraw it."""
        self.bar.advance(step + 1, metrics_text(logs or {}))

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Remove it, and write the result."""
        self.bar.close()
        if not self.in_fit:
            self.bar.write(f"evaluated: {metrics_text(logs or {})}")

    def on_predict_begin(self, logs: Optional[dict] = None) -> None:
        """Open a bar."""
        self.bar.open("predicting", (logs or {}).get("steps"))

    def on_predict_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Redraw it."""
        self.bar.advance(step + 1)

    def on_predict_end(self, logs: Optional[dict] = None) -> None:
        """Remove it."""
        self.bar.close()


def user_callbacks(given: PaddleCallbacks) -> list[paddle.callbacks.Callback]:
    """Return the callbacks of an argument as a list, Paddle's broken ones repaired."""
    callbacks = list(given) if isinstance(given, (list, tuple)) else [given]
    return [
        UpdateScheduler()
        if type(callback) is LRScheduler and callback.by_step
        else repair_callback(callback)
        for callback in callbacks
        if callback is not None
    ]


def has_progress(callbacks: Sequence[paddle.callbacks.Callback]) -> bool:
    """Return whether callbacks show progress themselves."""
    return any(isinstance(each, (ProgBarLogger, PaddleProgressBar)) for each in callbacks)


def make_callback_list(
    model: Any,
    callbacks: list[paddle.callbacks.Callback],
    save_dir: Optional[str] = None,
    save_freq: int = 1,
    **params: Any,
) -> CallbackList:
    """Return Paddle's list of callbacks, with those that it adds by itself.

    Args:
        model (paddle.Model): what they are called for.
        callbacks: see :func:`user_callbacks`.
        save_dir, save_freq: as in ``fit``.
        params: beside ``batch_size``.
    """
    optimizer = model._optimizer
    if isinstance(getattr(optimizer, "_learning_rate", None), Schedule) and not any(
        isinstance(callback, LRScheduler) for callback in callbacks
    ):
        callbacks.append(LRScheduler(by_step=False, by_epoch=True))
    for callback in callbacks:
        if isinstance(callback, EarlyStopping):
            callback.save_dir = save_dir
    if save_dir and not any(isinstance(callback, ModelCheckpoint) for callback in callbacks):
        callbacks.append(ModelCheckpoint(save_freq, save_dir))
    made = CallbackList(callbacks)
    made.set_model(model)
    made.set_params({"batch_size": None, **params})
    return made


def warn_without_evaluation(callbacks: CallbackList) -> None:
    """Warn of callbacks that watch the evaluation, where there is none."""
    for callback in callbacks:
        for kind in (EarlyStopping, paddle.callbacks.ReduceLROnPlateau):
            if isinstance(callback, kind):
                warnings.warn(
                    f"{kind.__name__} needs validation data: without eval_data it does nothing.",
                    stacklevel=4,
                )


def as_logs(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return metrics as Paddle's callbacks expect them: a loss is a list."""
    return {
        name: [value] if name in ("loss", "val_loss") else value for name, value in metrics.items()
    }


def _plain(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}
