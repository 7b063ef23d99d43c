"""A wish to stop, by Ctrl-C or a signal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C was pressed, and what was reached so far is saved."""


class SignalHandler:
    """Knows whether the training was asked to stop.

    Args:
        say: takes a sentence for people.
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self.say = say
        self.asked = False
        #: What is under way and will be ended first.
        self.doing = "step"

    @contextmanager
    def listening(self) -> Iterator[SignalHandler]:
        """Within this block, the first Ctrl-C (or SIGTERM) is a wish; the second means now."""

        def ask(number: int, frame: Any) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            self.say(f"stopping after this {self.doing}; press Ctrl-C again to stop at once.")

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
