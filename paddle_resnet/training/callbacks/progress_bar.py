"""Progress for people: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Optional

from tqdm import tqdm

from ...formatting import console_duration, metrics_text
from ..loop.callback import Callback
from ..loop.train_state import StepResult, TrainState


class ProgressBar(Callback):
    """Shows loss, accuracy, images/s and the ETA of a training, an evaluation or a prediction.

    On a terminal one line is redrawn; elsewhere whole lines without control characters are written.

    Args:
        verbose (int): 1 writes a line per epoch, 2 shows steps too. Default: 2.
        log_freq (int): steps between two lines if there is no terminal. Default: 10.
        log_seconds (float, optional): seconds between two such lines, in place of ``log_freq``.
        write (callable, optional): takes each whole line. Default: print to standard output.
        terminal (bool, optional): whether to draw a bar. Default: if standard output is one.
    """

    def __init__(
        self,
        *,
        verbose: int = 2,
        log_freq: int = 10,
        log_seconds: Optional[float] = None,
        write: Optional[Callable[[str], None]] = None,
        terminal: Optional[bool] = None,
    ) -> None:
        self.verbose = verbose
        self.log_freq = max(int(log_freq), 1)
        self.log_seconds = log_seconds
        self.terminal = sys.stdout.isatty() if terminal is None else terminal
        self.write = write or self.print
        self._bar: Optional[tqdm] = None
        self._title = ""
        self._eta_written = False
        self._last_line = time.monotonic()

    def print(self, line: str) -> None:
        """Print a line; a bar moves below it."""
        if self._bar is not None:
            self._bar.clear()
        print(line, flush=True)

    # -- training --------------------------------------------------------------------------

    def on_fit_start(self, state: TrainState) -> None:
        """Start the clock of the lines."""
        self._eta_written = False
        self._last_line = time.monotonic()

    def on_epoch_start(self, state: TrainState) -> None:
        """Open the bar."""
        self.open(_title(state, state.progress.epoch + 1), state.batches.epoch_length)

    def on_step_end(self, state: TrainState, result: StepResult) -> None:
        """Redraw the bar, or write a line if it is time for one."""
        self._write_eta(state)
        if self.verbose > 1:
            text = metrics_text(state.epoch_means.values())
            speed = f"{state.speed.images_per_second:,.1f} images/s"
            self.advance(state.epoch_means.steps, f"{text}  {speed}  {_left(state)}")

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Write the epoch's line, validation included."""
        self.close()
        self.write(
            f"{_title(state, state.progress.epoch)}: {metrics_text(metrics)}"
            f"  {state.speed.images_per_second:,.1f} images/s  {_left(state)}"
        )

    def on_fit_end(self, state: TrainState) -> None:
        """Remove the bar."""
        self.close()

    def _write_eta(self, state: TrainState) -> None:
        """Write once, after a few steps, how long all of it will take."""
        if self._eta_written or state.progress.step < 3 or state.progress.eta is None:
            return
        self._eta_written = True
        seconds = state.progress.eta
        at = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
        self.write(
            f"{state.speed.images_per_second:,.1f} images/s; expected to end in "
            f"{console_duration(seconds)}, at {at}"
        )

    # -- any loop --------------------------------------------------------------------------

    def open(self, title: str, steps: Optional[int]) -> None:
        """Open a bar of so many steps, or of an unknown number; a bar that is open is removed."""
        self.close()
        self._title = title
        if self.terminal and self.verbose > 1:
            self._bar = tqdm(
                total=steps,
                desc=title,
                leave=False,
                dynamic_ncols=True,
                file=sys.stdout,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {postfix}"
                if steps
                else "{desc} step {n} {postfix}",
            )

    def advance(self, step: int, text: str = "") -> None:
        """Show that ``step`` steps are done, or write a line if it is time for one."""
        if self.verbose < 2:
            return
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step - self._bar.n)
        elif self._is_due(step):
            self._last_line = time.monotonic()
            self.write(f"{self._title}, step {step}: {text}")

    def close(self) -> None:
        """Remove the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _is_due(self, step: int) -> bool:
        if self.log_seconds is None:
            return step % self.log_freq == 0
        return time.monotonic() - self._last_line >= self.log_seconds


def _title(state: TrainState, epoch: int) -> str:
    return f"{state.progress.plan.unit} {epoch}/{state.progress.plan.epochs}"


def _left(state: TrainState) -> str:
    return f"{console_duration(state.progress.eta)} left"
