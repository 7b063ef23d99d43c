"""Progress for people: a bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Optional

from paddle.callbacks import Callback
from tqdm import tqdm

from ..loop.progress import Progress
from ..wording import duration, figures


class ProgressBar(Callback):
    """Prints progress with loss, accuracy, images/s and the expected end.

    On a terminal one line is redrawn; elsewhere whole lines are written and no control characters.

    Args:
        pace (Progress, optional): where speed and expected end come from.
        verbose (int): 1 prints a line per epoch, 2 progress within epochs too. Default: 2.
        log_freq (int): steps between two lines where there is no terminal. Default: 10.
        log_seconds (float, optional): seconds between two such lines, in place of ``log_freq``.
        write (callable, optional): takes each whole line. Default: print to standard output.
        terminal (bool, optional): whether to draw a bar. Default: whether standard output is one.
    """

    def __init__(
        self,
        pace: Optional[Progress] = None,
        *,
        verbose: int = 2,
        log_freq: int = 10,
        log_seconds: Optional[float] = None,
        write: Optional[Callable[[str], None]] = None,
        terminal: Optional[bool] = None,
    ) -> None:
        super().__init__()
        self.pace = pace
        self.verbose = verbose
        self.log_freq = max(int(log_freq), 1)
        self.log_seconds = log_seconds
        self.terminal = sys.stdout.isatty() if terminal is None else terminal
        self.write = write or self._print
        self._bar: Optional[tqdm] = None
        self._epoch: Optional[int] = None
        self._said_end = False
        self._last_line = time.monotonic()

    def _print(self, line: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        print(line, flush=True)

    # -- training --------------------------------------------------------------------------

    def on_train_begin(self, logs: Optional[dict] = None) -> None:
        """Start the clock of the lines."""
        self._said_end = False
        self._last_line = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Open the bar."""
        self._epoch = epoch
        self._open(self._title(), self.params.get("steps"))

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Redraw the bar, or write a line when it is time for one."""
        self._announce_end()
        self._advance(self._title(), step, logs or {})

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Write the epoch's line, validation included."""
        self._close()
        speed = f"  {self.pace.images_per_second:,.1f} images/s" if self.pace else ""
        end = f"  {duration(self.pace.remaining)} left" if self.pace else ""
        self.write(f"{self._title()}: {figures(logs or {})}{speed}{end}")
        self._epoch = None

    def on_train_end(self, logs: Optional[dict] = None) -> None:
        """Take the bar away."""
        self._close()

    def close(self) -> None:
        """Take the bar away, also when the training did not come to its end."""
        self._close()

    # -- evaluation and prediction ---------------------------------------------------------

    def on_eval_begin(self, logs: Optional[dict] = None) -> None:
        """Open a bar of its own."""
        self._close()
        self._open("evaluating", (logs or {}).get("steps"))

    def on_eval_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Redraw the bar."""
        self._advance("evaluating", step, logs or {})

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Write the result where no epoch's line is going to."""
        self._close()
        if self._epoch is None:
            self.write(f"evaluated: {figures(logs or {})}")

    def on_predict_begin(self, logs: Optional[dict] = None) -> None:
        """Open a bar."""
        self._open("predicting", (logs or {}).get("steps"))

    def on_predict_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Redraw the bar."""
        self._advance("predicting", step, {})

    def on_predict_end(self, logs: Optional[dict] = None) -> None:
        """Take the bar away."""
        self._close()

    # -- drawing ---------------------------------------------------------------------------

    def _title(self) -> str:
        epochs = self.params.get("epochs")
        unit = self.pace.unit if self.pace else "epoch"
        return f"{unit} {self._epoch + 1}" + (f"/{epochs}" if epochs else "")

    def _announce_end(self) -> None:
        """Say once, as soon as it is known, how long all this will take."""
        if self._said_end or self.pace is None or self.pace.steps < 3:
            return
        remaining = self.pace.remaining
        if remaining is not None:
            self._said_end = True
            at = time.strftime("%H:%M:%S", time.localtime(time.time() + remaining))
            self.write(
                f"{self.pace.images_per_second:,.1f} images/s; expected to end in "
                f"{duration(remaining)}, at {at}"
            )

    def _open(self, title: str, steps: Any) -> None:
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

    def _advance(self, title: str, step: int, logs: dict) -> None:
        if self.verbose < 2:
            return
        text = figures(logs)
        if self.pace is not None and self._epoch is not None:
            text += (
                f"  {self.pace.images_per_second:,.1f} images/s"
                f"  {duration(self.pace.remaining)} left"
            )
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(step + 1 - self._bar.n)
            return
        now = time.monotonic()
        due = (
            (step + 1) % self.log_freq == 0
            if self.log_seconds is None
            else now - self._last_line >= self.log_seconds
        )
        if due:
            self._last_line = now
            self.write(f"{title}, step {step + 1}: {text}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
