"""Ctrl-C or SIGTERM while code runs that must not be left in the middle: it waits for its end."""

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
    """Let SIGINT and SIGTERM take effect at the end of the block, in place of any error of it.

    For imports of extension modules and calls of C++ that calls Python. There a KeyboardInterrupt
    becomes another exception (pybind11: ``ImportError``; Paddle's tracing: ``SystemError``), or is
    lost (the import system's weak references ignore exceptions).

    Nothing changes in threads other than the main one, which get no signals, and for a signal that
    has no handler in Python. Blocks may be nested.

    Raises:
        KeyboardInterrupt: or what the handler outside of the block does.
    """
    with _deferred(signal.SIGINT), _deferred(signal.SIGTERM):
        yield


@contextmanager
def _deferred(deferred: int) -> Iterator[None]:
    outside = signal.getsignal(deferred)
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
        signal.signal(deferred, handle)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(deferred, outside)
        if first is not None:
            outside(deferred, None)
