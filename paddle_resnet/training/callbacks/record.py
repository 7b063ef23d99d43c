"""Writes the figures of a run: JSON lines and VisualDL scalars."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Callable, Optional

from paddle.callbacks import Callback

from ..pace import Pace
from ..run_folder import RunFolder
from ..stream import TrainingStream


class Record(Callback):
    """Keeps ``history.jsonl`` (a row per epoch), ``steps.jsonl`` and VisualDL's log.

    Args:
        folder (RunFolder): where to write.
        pace (Pace), stream (TrainingStream): where steps, time and epochs are read.
        every (float): seconds between two rows of ``steps.jsonl``.
        visualdl (bool): whether to write VisualDL's log.
        warn (callable): takes a sentence about what could not be written; training goes on.
    """

    def __init__(
        self,
        folder: RunFolder,
        pace: Pace,
        stream: TrainingStream,
        *,
        every: float = 10.0,
        visualdl: bool = True,
        warn: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.pace = pace
        self.stream = stream
        self.every = every
        self.warn = warn
        self.writer = _visualdl_writer(folder.visualdl, warn) if visualdl else None
        self._next = 0.0
        self._warned = False
        self._window = _Window()

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Write a row of the step curves when it is time for one."""
        logs = logs or {}
        self._window.add(logs)
        if self.pace.elapsed < self._next and self.pace.steps > 1:
            return
        self._next = self.pace.elapsed + self.every
        row = {**self._position(), **self._window.take(), "lr": self.model._optimizer.get_lr()}
        self._append(self.folder.steps, row)
        self._scalars("step", {k: row[k] for k in row if k not in _POSITION}, self.pace.steps)

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Running means begin anew with every epoch."""
        self._window = _Window()

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Write the epoch's row."""
        row: dict[str, Any] = {"epoch": epoch + 1, **self._position()}
        row["images"] = self.pace.images
        row["lr"] = self.model._optimizer.get_lr()
        for name, value in (logs or {}).items():
            if name not in ("step", "batch_size"):
                row[name] = float(value[0] if isinstance(value, list) else value)
        self._append(self.folder.history, row)
        self._scalars(
            "epoch", {k: row[k] for k in row if k not in (*_POSITION, "epoch", "images")}, epoch + 1
        )

    def close(self) -> None:
        """Flush VisualDL's log."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _position(self) -> dict[str, Any]:
        return {
            "epochs": round(self.stream.epochs, 4),
            "step": self.pace.steps,
            "seconds": round(self.pace.elapsed, 2),
            "images_per_second": round(self.pace.images_per_second, 2),
        }

    def _append(self, path: Path, row: dict[str, Any]) -> None:
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps({k: _json_number(v) for k, v in row.items()}) + "\n")
        except OSError as error:
            self._complain(f"cannot write '{path}': {error.strerror or error}")

    def _scalars(self, group: str, values: dict[str, Any], step: int) -> None:
        if self.writer is None:
            return
        values["images_per_second"] = round(self.pace.images_per_second, 2)
        try:
            for name, value in values.items():
                split = "validation" if name.startswith("val_") else "train"
                tag = f"{group}/{name.removeprefix('val_')}/{split}"
                self.writer.add_scalar(tag=tag, step=step, value=float(value))
        except OSError as error:
            self._complain(f"VisualDL's log cannot be written: {error.strerror or error}")
            self.writer = None

    def _complain(self, sentence: str) -> None:
        if not self._warned:  # once is enough: a full disk would say it at every row
            self._warned = True
            self.warn(f"warning: {sentence}. Training goes on without.")


def _json_number(value: Any) -> Any:
    """NaN and infinity are no JSON."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


_POSITION = ("epochs", "step", "seconds", "images_per_second")


class _Window:
    """Means since the last row, out of the running means since the epoch began."""

    def __init__(self) -> None:
        self.count = 0
        self.begin: Optional[tuple[int, dict[str, float]]] = None
        self.now: dict[str, float] = {}

    def add(self, logs: dict) -> None:
        self.count += logs["batch_size"]
        self.now = {
            name: float(value[0] if isinstance(value, list) else value)
            for name, value in logs.items()
            if name not in ("step", "batch_size")
        }

    def take(self) -> dict[str, float]:
        """Return the means over the samples since the last call."""
        count, before = self.begin or (0, {})
        new = self.count - count
        means = {
            name: (value * self.count - before.get(name, 0.0) * count) / new
            for name, value in self.now.items()
        }
        self.begin = (self.count, self.now)
        return means


def _visualdl_writer(path: Path, warn: Callable[[str], None]) -> Any:
    try:
        from visualdl import LogWriter

        return LogWriter(logdir=str(path))
    except Exception as error:  # a viewer that fails to load must not stop a training
        warn(f"warning: VisualDL cannot be used ({error}); the JSON lines hold the same figures.")
        return None
