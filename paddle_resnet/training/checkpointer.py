"""When to save: checkpoints, the best weights, the last weights; and the way back on resume."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Optional, Union

from ..config import steps_of
from ..distributed.collectives import any_rank
from ..errors import UserError
from ..runs.checkpoint_folder import CheckpointFolder
from ..runs.rank_agreement import newest_on_all_ranks
from ..runs.run_writer import RunWriter
from ..weights import read_weights, save_weights
from .loop.nan_guard import check_finite
from .loop.train_state import TrainState
from .signals import SignalHandler, TrainingInterrupted

#: Entry of a weights file's metadata: the metrics that the weights reached.
METADATA_KEY = "reached"


class BestMetrics:
    """The metrics of the best evaluation so far; part of every checkpoint."""

    def __init__(self) -> None:
        #: ``epoch``, ``val_acc_top1`` and ``val_loss``; None before there is a best one.
        self.metrics: Optional[dict[str, float]] = None

    def update(self, epoch: int, metrics: dict[str, Any]) -> bool:
        """Take the metrics of an evaluation if they are the best; return whether they are.

        Equal accuracies are common on few images: then the smaller loss is better. An evaluation
        whose loss is not finite is never the best.
        """
        if "val_acc_top1" not in metrics or not math.isfinite(metrics["val_loss"]):
            return False
        new = {
            "epoch": epoch,
            "val_acc_top1": float(metrics["val_acc_top1"]),
            "val_loss": float(metrics["val_loss"]),
        }
        is_best = self.metrics is None or _score(new) > _score(self.metrics)
        if is_best:
            self.metrics = new
        return is_best

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics (JSON types)."""
        return {"metrics": self.metrics}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.metrics = None if state["metrics"] is None else _checked(state["metrics"])


def _checked(metrics: dict[str, Any]) -> dict[str, float]:
    _score(metrics)
    return {**metrics, "epoch": int(metrics["epoch"])}


def _score(metrics: dict[str, float]) -> tuple[float, float]:
    return float(metrics["val_acc_top1"]), -float(metrics["val_loss"])


class Checkpointer:
    """Saves checkpoints and weights of a run, and stops the training on a signal.

    Args:
        writer (RunWriter): writes into the run's folder.
        signals (SignalHandler): says whether to stop.
        metadata (dict): what weights files say about themselves.
        interval (float | str): seconds between checkpoints within an epoch, or ``"100 steps"``.
        keep (int): how many checkpoints are kept.
    """

    def __init__(
        self,
        writer: RunWriter,
        signals: SignalHandler,
        metadata: dict[str, Any],
        *,
        interval: Union[float, str] = 300.0,
        keep: int = 2,
    ) -> None:
        self.writer = writer
        self.signals = signals
        self.metadata = metadata
        self.interval = interval
        self.checkpoints = CheckpointFolder(writer.folder.checkpoints, keep)
        self._saved_at = (time.monotonic(), 0)

    # -- save ------------------------------------------------------------------------------

    def after_step(self, state: TrainState) -> None:
        """Save if it is time to, or if a signal came; never between the batches of one update.

        Raises:
            TrainingInterrupted: a signal came to some rank.
        """
        if not state.is_between_updates:
            return
        stop = any_rank(self.signals.stop_requested)
        if stop:
            self.writer.log(f"stopping after step {state.progress.step}: saving a checkpoint")
        if stop or self._is_due(state.progress.step):
            self.save(state)
            state.speed.skip()  # writing is not training time
        if stop:
            raise TrainingInterrupted

    def _is_due(self, step: int) -> bool:
        at, saved_step = self._saved_at
        steps = steps_of(self.interval)
        if steps is not None:
            return step - saved_step >= steps
        return time.monotonic() - at >= self.interval

    def after_epoch(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Save a checkpoint and, if they are, the best weights.

        The checkpoint is written first. Otherwise a kill between the two leaves a best file from
        an epoch that the resumed run repeats, with another result under a time budget.

        Raises:
            TrainingInterrupted: a signal came to some rank.
        """
        before = state.best.metrics
        is_best = state.best.update(state.progress.epoch, metrics)
        self.save(state)
        if is_best and not self._save_best(state):
            state.best.metrics = before
        if any_rank(self.signals.stop_requested):
            raise TrainingInterrupted

    def save(self, state: TrainState) -> None:
        """Write a checkpoint now.

        Raises:
            TrainingError: a weight is not finite; no file is written.
        """
        step = state.progress.step
        check_finite(state.network, f"step {step}")
        self._saved_at = (time.monotonic(), step)
        self.writer.write(
            self.checkpoints.folder,
            lambda _: self.checkpoints.write(step, state.state_dict()),
            "The checkpoints before, if there are any, stay.",
        )

    def save_last(self, state: TrainState) -> None:
        """Write ``last.safetensors``, once, when training ends."""
        self._save_weights(state, self.writer.folder.last, {"epoch": state.progress.epoch})

    def save_last_checkpoint(self, state: TrainState) -> None:
        """Write ``last.safetensors`` with the weights of the newest checkpoint, if there is one.

        For a training that diverged: its present weights are of no use.
        """
        try:
            found = self.checkpoints.newest(self.writer.log)
        except UserError:
            return
        if found is not None:
            state.load_weights(found.state)
            epoch = found.state["progress"]["epoch"]
            self._save_weights(state, self.writer.folder.last, {"epoch": epoch})

    def _save_best(self, state: TrainState) -> bool:
        return self._save_weights(state, self.writer.folder.best, state.best.metrics)

    def _save_weights(self, state: TrainState, path: Path, metrics: dict[str, float]) -> bool:
        """Write the weights that are evaluated; return whether they were written."""
        metadata = {**self.metadata, METADATA_KEY: metrics}
        with state.evaluated_weights():
            return self.writer.write(
                path,
                lambda p: save_weights(state.network, p, metadata),
                "The older file, if there is one, stays.",
            )

    # -- resume ----------------------------------------------------------------------------

    def resume(self, state: TrainState) -> Optional[str]:
        """Restore the newest valid checkpoint, the same one on all ranks.

        Returns:
            str: the file's name; None if there is no checkpoint.

        Raises:
            WeightsError: there are checkpoints, but none can be used.
            UserError: it does not fit what the recipe says now, or ranks read different files.
        """
        found = newest_on_all_ranks(self.checkpoints, self.writer.log)
        if found is None:
            return None
        state.load_state_dict(found.state, f"the checkpoint '{found.path}'")
        self._saved_at = (time.monotonic(), state.progress.step)
        self._repair_best(state)
        return found.path.name

    def _repair_best(self, state: TrainState) -> None:
        """Write the best weights if a kill came between the checkpoint and them.

        Otherwise the best metrics become those of the file, whatever the checkpoint says: an
        older checkpoint may have taken the place of a corrupt one.
        """
        best, path, epoch = state.best, self.writer.folder.best, state.progress.epoch
        on_disk = read_metrics(path)
        is_best = best.metrics is not None and best.metrics["epoch"] == epoch
        is_own = is_best and not state.epoch_means.steps
        if on_disk is None and path.is_file():
            source = "the checkpoint" if is_own else "the next evaluation"
            self.writer.log(f"warning: '{path}' is corrupt: it is replaced by that of {source}.")
        if is_own and on_disk != best.metrics:
            if self._save_best(state):
                return
        elif on_disk is not None and on_disk["epoch"] > epoch:
            self.writer.log(
                f"warning: '{path}' is of {state.progress.plan.unit} {on_disk['epoch']}, which "
                "comes after the checkpoint: it stays until there is a better one."
            )
        best.metrics = on_disk


def read_metrics(path: Path) -> Optional[dict[str, float]]:
    """Return the metrics that a best file says it reached; None if it cannot be read."""
    try:
        return _checked(read_weights(path)[1].get(METADATA_KEY))
    except (UserError, KeyError, TypeError, ValueError):
        return None
