"""SIGINT and SIGTERM as a flag that the training reads between two steps."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..interrupts import AT_ONCE_SECONDS


class TrainingInterrupted(KeyboardInterrupt):
    """The training was stopped by a signal, after a checkpoint was saved."""


class SignalHandler:
    """Knows whether a signal asked the training to stop.

    The handler sets a flag and does nothing else: it may run in the middle of a print. SIGTERM
    never ends the process by itself, however often it comes (Slurm and Kubernetes repeat it, and
    kill when their patience ends).
    """

    def __init__(self) -> None:
        #: Whether to stop after the present step.
        self.stop_requested = False
        self._first_interrupt: float | None = None

    @contextmanager
    def listening(self) -> Iterator[SignalHandler]:
        """Handle both signals within this block.

        Raises:
            KeyboardInterrupt: a second SIGINT came a second or more after the first one.
        """
        # A process that was started to ignore a signal, as with nohup or `&`, keeps ignoring it.
        signals = [
            number
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        try:
            before = {number: signal.signal(number, self._handle) for number in signals}
        except ValueError:  # signals arrive in the main thread alone; some notebooks use another
            before = {}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: Any) -> None:
        self.stop_requested = True
        if number != signal.SIGINT:
            return
        now = time.monotonic()
        if self._first_interrupt is None:
            self._first_interrupt = now
        elif now - self._first_interrupt >= AT_ONCE_SECONDS:
            raise KeyboardInterrupt
