"""Saves weights and checkpoints, and stops cleanly when asked to."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from paddle import nn
from paddle.callbacks import Callback

from ..config import steps_of
from ..distributed.collectives import any_rank
from ..errors import TrainingError, UserError
from ..runs.checkpoint_folder import CheckpointFolder
from ..runs.run_writer import RunWriter
from ..weights import read_weights, save_weights
from .loop.stateful import Stateful, gather, restore
from .signals import SignalHandler, TrainingInterrupted

#: Where the metadata of a weights file says what these weights reached.
FIGURES = "reached"


class Checkpointer(Callback):
    """Keeps the last and the best weights, and checkpoints to go on from.

    It stands last among the callbacks: what it saves must include what they did.

    Args:
        session (RunWriter): where to write.
        metadata (dict): what the weights files say about themselves.
        every (float | str): seconds between checkpoints within an epoch, or ``"100 steps"``.
        keep (int): how many checkpoints to keep.
    """

    def __init__(
        self,
        session: RunWriter,
        metadata: dict[str, Any],
        *,
        every: Union[float, str] = 300.0,
        keep: int = 2,
    ) -> None:
        super().__init__()
        self.session = session
        self.metadata = metadata
        self.every = every
        self.checkpoints = CheckpointFolder(session.folder.checkpoints, keep)
        self.stop = SignalHandler(session.say)
        #: What a checkpoint holds, by name; set before training begins.
        self.parts: Mapping[str, Stateful] = {}
        self.best: Optional[dict[str, float]] = None
        self.epoch = 0
        #: Whether no epoch is under way.
        self._at_end = False
        #: The figures of the best weights, where these are the checkpoint's own.
        self._wanted: Optional[dict[str, float]] = None
        self._saved = (time.monotonic(), 0)

    # -- when ------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Remember where we are."""
        self.epoch, self._at_end = epoch, False
        self.stop.doing = "step"

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Save when it is time to, and when asked to stop."""
        if self._round_ends():
            self.stop.doing = "evaluation"
            return
        if not self.model.is_between_updates:  # gradients that wait for others are not saved
            return
        if any_rank(self.stop.asked):
            self.save_checkpoint()
            raise TrainingInterrupted
        if self._is_due():
            self.save_checkpoint()

    def _round_ends(self) -> bool:
        """Whether the step just done was the round's last: its evaluation belongs to it."""
        stream, pace = self.session.stream, self.session.pace
        loader_ran_out = stream.batch == len(stream.loader) and not pace.needs_more
        return loader_ran_out or pace.round_is_over()

    def _is_due(self) -> bool:
        at, step = self._saved
        steps = steps_of(self.every)
        if steps is not None:
            return self.session.pace.steps - step >= steps
        return time.monotonic() - at >= self.every

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Save the last weights, the best where they are, and a checkpoint."""
        logs = logs or {}
        where = f"{self.session.pace.unit} {epoch + 1}"
        self._refuse_nonsense(where, float(logs.get("val_loss", [0.0])[0]))
        self.epoch, self._at_end = epoch + 1, True
        before = self.best
        if "val_acc_top1" in logs:
            figures = {
                "epoch": epoch + 1,
                "val_acc_top1": float(logs["val_acc_top1"]),
                "val_loss": float(logs["val_loss"][0]),
            }
            # Equal accuracy is common on few images: the smaller loss decides.
            if before is None or _score(figures) > _score(before):
                self.best = figures
        # First: weights of an epoch that no checkpoint knows would stay behind, best of all, when a
        # run is killed here, and train this epoch again to another end (by a budget's clock).
        # Those that are missing can be written from the checkpoint.
        self.save_checkpoint()
        with self.model.averaged():  # what was evaluated is what is kept
            network = self.model.network
            self._save_weights(network, self.session.folder.last, {"epoch": epoch + 1})
            if self.best is not before:
                best = self.session.folder.best
                if not self._save_weights(network, best, self.best):
                    self.best = before
        if any_rank(self.stop.asked):
            raise TrainingInterrupted

    def _refuse_nonsense(self, where: str, val_loss: float = 0.0) -> None:
        """Stop before weights that are no numbers take the place of good ones."""
        broken = [
            name
            for name, tensor in self.model.network.state_dict().items()
            if not np.isfinite(tensor.numpy()).all()
        ]
        if broken or not math.isfinite(val_loss):
            what = f"'{broken[0]}' holds" if broken else "the validation loss is"
            raise TrainingError(
                f"after {where}, {what} NaN or infinite: training stopped, and what was saved "
                "before stays as it is. A smaller learning rate or a longer warm-up helps most "
                "often."
            )

    # -- saving ----------------------------------------------------------------------------

    def save_checkpoint(self) -> None:
        """Write a checkpoint now.

        Raises:
            TrainingError: a weight is no number: no run could go on from there.
        """
        step = self.session.pace.steps
        if not self._at_end:  # at the end it has been looked
            self._refuse_nonsense(f"step {step}")
        self._saved = (time.monotonic(), step)
        self.session.write(
            self.checkpoints.folder,
            lambda _: self.checkpoints.write(step, gather(self.parts)),
            "The checkpoints before, if there are any, stay.",
        )

    def _save_weights(self, network: nn.Layer, path: Path, figures: dict[str, float]) -> bool:
        metadata = {**self.metadata, FIGURES: figures}
        return self.session.write(
            path,
            lambda p: save_weights(network, p, metadata),
            "The older file, if there is one, stays.",
        )

    # -- going on --------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return how many epochs are done, the best one, and whether another is under way."""
        return {"epoch": self.epoch, "best": self.best, "at_end": self._at_end}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on after that many; the best weights are those that their file holds."""
        self.epoch = int(state["epoch"])
        # The first versions wrote the weights before the checkpoint, and not this.
        self._at_end = bool(state.get("at_end", False))
        wanted = state.get("best") if self._at_end else None
        self._wanted = wanted if wanted and int(wanted["epoch"]) == self.epoch else None
        self._saved = (time.monotonic(), self.session.pace.steps)

    def load_checkpoint(self) -> Optional[str]:
        """Give all parts the state of the newest sound checkpoint.

        Returns:
            str: the file's name; None where there was none.

        Raises:
            WeightsError: there are some, but none can be used.
            UserError: it does not fit what the recipe says now.
        """
        found = self.checkpoints.newest(self.session.say)
        if found is None:
            return None
        path, states = found
        restore(self.parts, states, f"the checkpoint '{path}'")
        self._find_weights()
        return path.name

    def _find_weights(self) -> None:
        """Write the weights that belong to the checkpoint where they are missing; find the best."""
        folder, wanted = self.session.folder, self._wanted
        found = self._best_on_disk()
        if self._at_end:
            network, average = self.parts["network"].network, self.parts.get("average")
            with nullcontext() if average is None else average.applied():
                if _figures(folder.last) != {"epoch": self.epoch}:
                    self._save_weights(network, folder.last, {"epoch": self.epoch})
                if wanted and found != wanted and self._save_weights(network, folder.best, wanted):
                    found = wanted
        if found is not None and found["epoch"] > self.epoch:
            unit = self.session.pace.unit
            self.session.say(
                f"warning: '{folder.best}' is of {unit} {found['epoch']}, which comes after the "
                "checkpoint: it stays until there is a better one."
            )
        self.best = found

    def _best_on_disk(self) -> Optional[dict[str, float]]:
        path = self.session.folder.best
        if not path.is_file():
            return None
        try:
            figures = _figures(path)
            _score(figures)
            return {**figures, "epoch": int(figures["epoch"])}
        except (KeyError, TypeError, ValueError):
            others = "the checkpoint's weights" if self._wanted else "the next that are evaluated"
            self.session.say(f"warning: '{path}' is damaged: {others} take its place.")
            return None


def _figures(path: Path) -> Any:
    """Return what a weights file says that it reached; None where it cannot be read."""
    try:
        return read_weights(path)[1].get(FIGURES)
    except UserError:
        return None


def _score(figures: dict[str, float]) -> tuple[float, float]:
    return float(figures["val_acc_top1"]), -float(figures["val_loss"])
