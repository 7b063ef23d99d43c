"""Writes the figures of a run: JSON lines and VisualDL scalars."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Optional

from paddle.callbacks import Callback

from ...errors import TrainingError
from ...io.atomic_files import append_text, cut, sync
from ...runs.run_writer import RunWriter
from .visualdl_file import VisualDLFile

_POSITION = ("epochs", "step", "seconds", "images_per_second")


class MetricLogger(Callback):
    """Keeps ``history.jsonl`` (a row per epoch), ``steps.jsonl`` and VisualDL's log.

    Args:
        session (RunWriter): where to write; where steps, time and epochs are read.
        every (float): seconds between two rows of ``steps.jsonl``.
        visualdl (bool): whether to write VisualDL's log.
    """

    def __init__(self, session: RunWriter, *, every: float = 10.0, visualdl: bool = True) -> None:
        super().__init__()
        self.session = session
        self.every = every
        folder = session.folder
        self.log = VisualDLFile(folder.visualdl, session.say) if visualdl else None
        #: Rows that could not be written yet, by file.
        self._waiting: dict[Path, str] = {folder.history: "", folder.steps: ""}
        self._next = 0.0
        self._window = _Window()

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Write a row of the step curves when it is time for one."""
        pace = self.session.pace
        self._window.add(logs or {})
        if pace.elapsed < self._next and pace.steps > 1:
            return
        self._next = pace.elapsed + self.every
        row = {**self._position(), **self._window.take(), "lr": self.model._optimizer.get_lr()}
        self._append(self.session.folder.steps, row)
        self._scalars("step", {k: row[k] for k in row if k not in _POSITION}, pace.steps)

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Write the epoch's row."""
        row: dict[str, Any] = {"epoch": epoch + 1, **self._position()}
        row["images"] = self.session.pace.images
        row["lr"] = self.model._optimizer.get_lr()
        for name, value in (logs or {}).items():
            if name not in ("step", "batch_size"):
                row[name] = float(value[0] if isinstance(value, list) else value)
        self._append(self.session.folder.history, row)
        self._scalars(
            "epoch", {k: row[k] for k in row if k not in (*_POSITION, "epoch", "images")}, epoch + 1
        )
        # Running means begin anew with every epoch. Not at its begin, which also comes when the
        # rest of an interrupted epoch is gone on with.
        self._window = _Window()

    def close(self) -> None:
        """Write what still waits, and flush VisualDL's log."""
        for path, rows in self._waiting.items():
            if rows:
                self._append(path)
        if self.log is not None:
            self.log.close()

    # -- going on --------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return how long the files are, which are brought to the disk first.

        Raises:
            OSError: they cannot be.
        """
        return {
            "sizes": {path.name: sync(path) for path in self._waiting},
            "visualdl": self.log.state() if self.log is not None else None,
            "next": self._next,
            "window": self._window.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Cut the files to what they were: what came after will come again.

        Raises:
            TrainingError: they cannot be written.
        """
        self._window.load_state(state["window"])
        self._next = float(state["next"])
        try:
            for path in self._waiting:
                size = int(state["sizes"][path.name])
                if cut(path, size) < size:
                    self.session.say(
                        f"warning: '{path}' is shorter than it was: rows of it are lost."
                    )
            if self.log is not None and state["visualdl"] is not None:
                self.log.load_state(state["visualdl"])
        except OSError as error:
            raise TrainingError(
                f"cannot write into '{self.session.folder.path}': {error.strerror or error}."
            ) from None

    # -- writing ---------------------------------------------------------------------------

    def _position(self) -> dict[str, Any]:
        pace = self.session.pace
        return {
            "epochs": round(self.session.stream.epochs, 4),
            "step": pace.steps,
            "seconds": round(pace.elapsed, 2),
            "images_per_second": round(pace.images_per_second, 2),
        }

    def _append(self, path: Path, row: Optional[dict[str, Any]] = None) -> None:
        if row is not None:
            self._waiting[path] += json.dumps({k: _json_number(v) for k, v in row.items()}) + "\n"
        rows = self._waiting[path]
        if self.session.write(
            path, lambda p: append_text(p, rows), "Its rows are kept in memory until they can be."
        ):
            self._waiting[path] = ""

    def _scalars(self, group: str, values: dict[str, Any], step: int) -> None:
        if self.log is None or self.session.folder.is_deleted():
            return
        values["images_per_second"] = round(self.session.pace.images_per_second, 2)
        for name, value in values.items():
            split = "validation" if name.startswith("val_") else "train"
            self.log.add_scalar(f"{group}/{name.removeprefix('val_')}/{split}", value, step)


def _json_number(value: Any) -> Any:
    """NaN and infinity are no JSON."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Window:
    """Means since the last row, out of the running means since the epoch began."""

    def __init__(self) -> None:
        self.count = 0
        #: Count and means at the last row.
        self.begin: tuple[int, dict[str, float]] = (0, {})
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
        count, before = self.begin
        new = self.count - count
        means = {
            name: (value * self.count - before.get(name, 0.0) * count) / new
            for name, value in self.now.items()
        }
        self.begin = (self.count, self.now)
        return means

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "begin": self.begin, "now": self.now}

    def load_state(self, state: dict[str, Any]) -> None:
        count, means = state["begin"]
        self.begin = (int(count), {name: float(mean) for name, mean in means.items()})
        self.count = int(state["count"])
        self.now = {name: float(mean) for name, mean in state["now"].items()}
