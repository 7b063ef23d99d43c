"""Ctrl-C while code runs that must not be left in the middle: it waits for the end of a block."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

#: A SIGINT this many seconds after the first one, or later, takes effect at once. Launchers send
#: the Ctrl-C of a terminal again to each process, up to three times within half a second.
AT_ONCE_SECONDS = 1.0


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Let a SIGINT take effect at the end of the block, in place of any error of the block.

    For imports of extension modules and calls of C++ that calls Python. There a KeyboardInterrupt
    becomes another exception (pybind11: ``ImportError``; Paddle's tracing: ``SystemError``), or is
    lost (the import system's weak references ignore exceptions).

    Nothing changes in threads other than the main one, which get no signals, and where SIGINT has
    no handler in Python. Blocks may be nested.

    Raises:
        KeyboardInterrupt: or what the handler outside of the block does.
    """
    outside = signal.getsignal(signal.SIGINT)
    if not callable(outside):
        yield
        return
    first: Optional[float] = None

    def handle(number: int, frame: Any) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
        elif now - first >= AT_ONCE_SECONDS:
            outside(number, frame)

    try:
        signal.signal(signal.SIGINT, handle)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, outside)
        if first is not None:
            outside(signal.SIGINT, None)
