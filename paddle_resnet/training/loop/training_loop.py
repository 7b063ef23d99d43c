"""The training loop: the order in which everything happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional, Protocol

from paddle import nn

from ...distributed.collectives import rank
from .callback import Callback
from .seeding import seed_epoch, seed_step
from .step import train_step, update
from .train_state import StepResult, TrainState


class Checkpointer(Protocol):
    """Saves between two steps and between two epochs; may end the training by an exception."""

    def after_step(self, state: TrainState) -> None:
        """Act after a step that does not end its epoch."""

    def after_epoch(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Act after an epoch, its evaluation and its callbacks."""


def train(
    state: TrainState,
    validate: Optional[Callable[[nn.Layer], dict[str, Any]]] = None,
    callbacks: Sequence[Callback] = (),
    checkpointer: Optional[Checkpointer] = None,
    step: Callable[[TrainState, Any], StepResult] = train_step,
) -> None:
    """Train until the plan is fulfilled or a callback gives a reason to stop.

    A state that was restored from a checkpoint continues where it was saved.

    Args:
        state: the training.
        validate: evaluates the network after an epoch and returns metrics (``val_loss``, ...);
            none, if it skips this epoch. Default: nothing is evaluated.
        callbacks: see :class:`~paddle_resnet.training.loop.callback.Callback`.
        checkpointer: Default: nothing is saved.
        step: trains on one batch. Default: :func:`~paddle_resnet.training.loop.step.train_step`.

    Raises:
        NonFiniteError: the loss or a BN statistic became NaN or infinite.
        DataError: an epoch has no batch.
    """

    def call(event: str, *arguments: Any) -> None:
        for callback in callbacks:
            getattr(callback, event)(state, *arguments)

    progress, plan = state.progress, state.progress.plan
    call("on_fit_start")
    while progress.epoch < plan.epochs and not state.stop_reason and not plan.is_over(progress):
        seed_epoch(state.seed, progress.epoch)
        state.start_epoch()
        call("on_epoch_start")
        for batch in state.batches.rest_of_epoch():
            call("on_step_start")
            seed_step(state.seed, progress.step, rank())
            state.set_learning_rate()
            result = step(state, batch)
            state.count(result)
            call("on_step_end", result)
            if plan.ends_epoch(progress):
                break
            if checkpointer is not None and not state.batches.at_end:
                checkpointer.after_step(state)
        update(state)  # an accumulation that the end of the epoch cut short
        metrics = state.end_epoch()
        if validate is not None:
            with state.evaluated_weights():
                metrics.update(validate(state.network))
        progress.epoch += 1
        call("on_epoch_end", metrics)
        if checkpointer is not None:
            checkpointer.after_epoch(state, metrics)
    call("on_fit_end")
