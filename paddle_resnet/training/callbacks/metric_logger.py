"""The metrics of a run: JSON lines, and scalars for VisualDL."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Optional

from ...errors import TrainingError
from ...io.atomic_files import append_text, cut, sync
from ...runs.run_writer import RunWriter
from ..loop.callback import Callback
from ..loop.train_state import StepResult, TrainState
from .visualdl_file import VisualDLFile

_POSITION = ("epochs", "step", "seconds", "images_per_second")


class MetricLogger(Callback):
    """Writes ``history.jsonl`` (a row per epoch), ``steps.jsonl`` and VisualDL's file.

    Rows that cannot be written are kept in memory until they can.

    Args:
        writer (RunWriter): writes into the run's folder.
        interval (float): seconds between two rows of ``steps.jsonl``. Default: 10.
        visualdl (bool): whether to write VisualDL's file. Default: yes.
    """

    def __init__(self, writer: RunWriter, *, interval: float = 10.0, visualdl: bool = True) -> None:
        self.writer = writer
        self.interval = interval
        folder = writer.folder
        self.visualdl = VisualDLFile(folder.visualdl, writer.log) if visualdl else None
        #: Rows that are not written yet, by file.
        self._waiting: dict[Path, str] = {folder.history: "", folder.steps: ""}
        #: When the next row of the steps is due, in seconds of the training.
        self._next = 0.0
        self._window = _Window()

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Write a row of the step curves if it is time for one."""
        progress = state.progress
        self._window.add(result.images, state.epoch_means.values())
        if progress.elapsed < self._next and progress.step > 1:
            return
        self._next = progress.elapsed + self.interval
        row = {**_position(state), **self._window.take(), "lr": state.optimizer.get_lr()}
        self._append(self.writer.folder.steps, row)
        self._scalars("step", {k: row[k] for k in row if k not in _POSITION}, state, progress.step)

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Write the epoch's row."""
        epoch = state.progress.epoch
        row: dict[str, Any] = {
            "epoch": epoch,
            **_position(state),
            "images": state.progress.images,
            "lr": state.optimizer.get_lr(),
            **{name: float(value) for name, value in metrics.items()},
        }
        self._append(self.writer.folder.history, row)
        self._scalars(
            "epoch",
            {k: row[k] for k in row if k not in (*_POSITION, "epoch", "images")},
            state,
            epoch,
        )
        # The running means start anew with every epoch. Not at its start, which also comes when an
        # interrupted epoch is resumed.
        self._window = _Window()

    def close(self) -> None:
        """Write the rows that wait, and flush VisualDL's file."""
        for path, rows in self._waiting.items():
            if rows:
                self._append(path)
        if self.visualdl is not None:
            self.visualdl.close()

    # -- resume ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Flush the files to the disk, and return how long they are.

        Raises:
            OSError: they cannot be flushed.
        """
        return {
            "sizes": {path.name: sync(path) for path in self._waiting},
            "visualdl": self.visualdl.state_dict() if self.visualdl is not None else None,
            "next": self._next,
            "window": self._window.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the files to what they were: the rows after it will be written again.

        Raises:
            TrainingError: they cannot be written.
        """
        self._window.load_state_dict(state["window"])
        self._next = float(state["next"])
        try:
            for path in self._waiting:
                size = int(state["sizes"][path.name])
                if cut(path, size) < size:
                    self.writer.log(
                        f"warning: '{path}' is shorter than it was: rows of it are lost."
                    )
            if self.visualdl is not None and state["visualdl"] is not None:
                self.visualdl.load_state_dict(state["visualdl"])
        except OSError as error:
            raise TrainingError(
                f"cannot write into '{self.writer.folder.path}': {error.strerror or error}."
            ) from None

    # -- writing ---------------------------------------------------------------------------

    def _append(self, path: Path, row: Optional[dict[str, Any]] = None) -> None:
        if row is not None:
            self._waiting[path] += json.dumps({k: _json_number(v) for k, v in row.items()}) + "\n"
        rows = self._waiting[path]
        if self.writer.write(
            path, lambda p: append_text(p, rows), "Its rows are kept in memory until they can be."
        ):
            self._waiting[path] = ""

    def _scalars(self, group: str, values: dict[str, Any], state: TrainState, step: int) -> None:
        if self.visualdl is None or self.writer.folder.is_deleted():
            return
        values["images_per_second"] = round(state.speed.images_per_second, 2)
        for name, value in values.items():
            split = "validation" if name.startswith("val_") else "train"
            self.visualdl.add_scalar(f"{group}/{name.removeprefix('val_')}/{split}", value, step)


def _position(state: TrainState) -> dict[str, Any]:
    return {
        "epochs": round(state.batches.epochs, 4),
        "step": state.progress.step,
        "seconds": round(state.progress.elapsed, 2),
        "images_per_second": round(state.speed.images_per_second, 2),
    }


def _json_number(value: Any) -> Any:
    """Return None for NaN and infinity, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Window:
    """Means since the last row, from the running means of the epoch."""

    def __init__(self) -> None:
        self.count = 0
        #: Samples and means at the last row.
        self.begin: tuple[int, dict[str, float]] = (0, {})
        self.now: dict[str, float] = {}

    def add(self, images: int, means: dict[str, Any]) -> None:
        self.count += images
        self.now = {name: float(value) for name, value in means.items()}

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

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "begin": self.begin, "now": self.now}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        count, means = state["begin"]
        self.begin = (int(count), {name: float(mean) for name, mean in means.items()})
        self.count = int(state["count"])
        self.now = {name: float(mean) for name, mean in state["now"].items()}
