"""Saves weights and checkpoints, and stops cleanly when asked to."""

from __future__ import annotations

import math
import signal
import time
from contextlib import contextmanager
from typing import Any, Callable, Optional

import numpy as np
from paddle.callbacks import Callback

from ...errors import TrainingError
from ...weights import save_weights
from ..checkpoint import save_checkpoint
from ..pace import Pace
from ..run_folder import RunFolder
from ..stream import TrainingStream


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed, and what was reached so far is saved."""


class Saver(Callback):
    """Keeps the last and the best weights, and a checkpoint to go on from.

    Args:
        folder (RunFolder): where to write.
        pace (Pace), stream (TrainingStream): saved with the checkpoint.
        metadata (dict): what the weights files say about themselves.
        every (float): seconds between checkpoints within an epoch.
        warn (callable): takes a sentence about what could not be written; training goes on and
            the older file stays.
    """

    def __init__(
        self,
        folder: RunFolder,
        pace: Pace,
        stream: TrainingStream,
        metadata: dict[str, Any],
        *,
        every: float = 300.0,
        warn: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.pace = pace
        self.stream = stream
        self.metadata = metadata
        self.every = every
        self.warn = warn
        self.best: Optional[dict[str, float]] = None
        self.epoch = 0
        self.asked_to_stop = False
        #: Why the newest version of a file could not be written, by path.
        self.failed: dict[Any, str] = {}
        self._saved_at = time.monotonic()
        self._doing = "step"

    # -- stopping --------------------------------------------------------------------------

    @contextmanager
    def listening(self):
        """Within this block, the first Ctrl-C (or SIGTERM) ends the training after its step."""

        def ask(number: int, frame: Any) -> None:
            if self.asked_to_stop:  # the second one means now
                raise KeyboardInterrupt
            self.asked_to_stop = True
            self.warn(f"stopping after this {self._doing}; press Ctrl-C again to stop at once.")

        # A process that was started to ignore a signal, as with nohup or `&`, goes on doing so.
        signals = [
            number
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        try:
            before = {number: signal.signal(number, ask) for number in signals}
        except ValueError:  # not the main thread, as in some notebooks: nothing to listen to
            before = {}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop_if_asked(self) -> None:
        if self.asked_to_stop:
            self.save_checkpoint()
            raise Interrupted

    def _round_ends(self) -> bool:
        """Whether the step just done was the round's last: its evaluation belongs to it."""
        loader_ran_out = self.stream.batch == len(self.stream.loader) and not self.pace.needs_more
        return loader_ran_out or self.pace.round_is_over()

    # -- saving ----------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Remember where we are."""
        self.epoch = epoch
        self._doing = "step"

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Save when it is time to, and when asked to stop."""
        if self._round_ends():
            self._doing = "evaluation"
            return
        self._stop_if_asked()
        if time.monotonic() - self._saved_at >= self.every:
            self.save_checkpoint()

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Save the last weights, the best where they are, and a checkpoint."""
        logs = logs or {}
        self._refuse_nonsense(epoch, logs)
        self.epoch = epoch + 1
        self._write(self.folder.last)
        if "val_acc_top1" in logs:
            figures = {
                "epoch": epoch + 1,
                "val_acc_top1": float(logs["val_acc_top1"]),
                "val_loss": float(logs["val_loss"][0]),
            }
            # Equal accuracy is common on few images: the smaller loss decides.
            score = (figures["val_acc_top1"], -figures["val_loss"])
            best = self.best and (self.best["val_acc_top1"], -self.best["val_loss"])
            if (best is None or score > best) and self._write(self.folder.best):
                self.best = figures
        self.save_checkpoint()
        if self.asked_to_stop:
            raise Interrupted

    def _refuse_nonsense(self, epoch: int, logs: dict) -> None:
        """Stop before weights that are no numbers take the place of good ones."""
        val_loss = float(logs.get("val_loss", [0.0])[0])
        broken = [
            name
            for name, tensor in self.model.network.state_dict().items()
            if not np.isfinite(tensor.numpy()).all()
        ]
        if broken or not math.isfinite(val_loss):
            what = f"'{broken[0]}' holds" if broken else "the validation loss is"
            raise TrainingError(
                f"after {self.pace.unit} {epoch + 1}, {what} NaN or infinite: training stopped, "
                "and the weights saved before stay as they are. A smaller learning rate or a "
                "longer warm-up helps most often."
            )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside tensors (JSON types)."""
        return {
            "epoch": self.epoch,
            "best": self.best,
            "pace": self.pace.state(),
            "stream": self.stream.state(),
            "batches": self._batches(),
        }

    def _batches(self) -> list:
        """Return what makes the order of the batches what it is."""
        loader = self.stream.loader
        return [len(loader.images), loader.batch_size, loader.seed]

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`.

        Raises:
            TrainingError: the data or the batches are not those of the run so far.
        """
        if state["batches"] != self._batches():
            raise TrainingError(
                f"this run had (images, batch size, seed) = {state['batches']} so far, and "
                f"now {self._batches()}: it can only go on with what it began with."
            )
        self.epoch, self.best = state["epoch"], state["best"]
        self.pace.load_state(state["pace"])
        self.stream.load_state(state["stream"])

    def save_checkpoint(self) -> None:
        """Write the checkpoint now."""
        self._saved_at = time.monotonic()
        self._try(
            self.folder.checkpoint,
            lambda path: save_checkpoint(
                path, self.model.network, self.model._optimizer, self.state()
            ),
        )

    def _write(self, path: Any) -> bool:
        return self._try(path, lambda p: save_weights(self.model.network, p, self.metadata))

    def _try(self, path: Any, write: Callable[[Any], Any]) -> bool:
        try:
            write(path)
            self.failed.pop(path, None)
        except OSError as error:
            self.failed[path] = error.strerror or str(error)
            self.warn(
                f"warning: cannot write '{path}': {error.strerror or error}. The older file, if "
                "there is one, stays; training goes on."
            )
            return False
        return True
