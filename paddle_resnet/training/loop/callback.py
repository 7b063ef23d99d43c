"""What may happen during a training beside the training itself."""

from __future__ import annotations

from typing import Any

from .train_state import StepResult, TrainState


class Callback:
    """Six events of :func:`~paddle_resnet.training.loop.training_loop.train`; each does nothing.

    A callback may read everything. It may write its own files and three fields of the state:
    ``learning_rate.plateau_factor``, ``trainable`` of the network's stages (in ``on_step_start``,
    between updates) and ``stop_reason``. It sets no learning rate, saves nothing, seeds nothing,
    and does not depend on its place among the callbacks: all that must happen in an order is a
    line of the loop.

    With ``state_dict()`` and ``load_state_dict(state)`` it takes part in checkpoints.
    """

    def on_fit_start(self, state: TrainState) -> None:
        """Act before the first epoch of this launch, be it the run's first or a resumed one."""

    def on_epoch_start(self, state: TrainState) -> None:
        """Act before the first step of an epoch in this launch."""

    def on_step_start(self, state: TrainState) -> None:
        """Act before a step; ``state.progress.step`` steps are done."""

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Act after a step, which is counted."""

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Act after an epoch and its evaluation, which ``state.progress.epoch`` counts already.

        Args:
            state: of the training.
            metrics: means over the epoch's samples (``loss``, ...) and of the evaluation, if there
                was one (``val_loss``, ...).
        """

    def on_fit_end(self, state: TrainState) -> None:
        """Act after the last epoch; not called when an error or an interrupt ends the training."""
