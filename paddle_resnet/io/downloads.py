"""Fetch a file from the internet: soon, or with a reason why not."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.request
from typing import BinaryIO, Callable

#: Seconds until the server must have answered, and between any two parts after that.
TIMEOUT = 8.0
_PART = 2**20


def fetch(
    url: str,
    file: BinaryIO,
    limit: int,
    timeout: float = TIMEOUT,
    progress: Callable[[int, int], None] = lambda done, expected: None,
) -> None:
    """Write what ``url`` holds into ``file``.

    Args:
        url: of ``http``, ``https`` or ``file``.
        file: open for writing.
        limit: the most bytes to accept.
        timeout: in seconds, for the answer in all, and for each part.
        progress: called after each part with the bytes done and expected (0: not known).

    Raises:
        OSError: no answer, no data, too much data, or the connection ended early.
    """
    try:
        with _open(url, timeout) as response:
            expected = int(response.headers.get("Content-Length") or 0)
            done = 0
            while part := response.read(_PART):
                file.write(part)
                done += len(part)
                if done > limit:
                    raise OSError(f"it has more than the expected {limit:,} bytes")
                progress(done, expected)
            if done < expected:
                raise OSError(f"the connection ended after {done:,} of {expected:,} bytes")
    # HTTPException: a connection closed in the middle. ValueError: an address that is none.
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(str(error)) from error


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """Open ``url`` within ``timeout`` seconds in all.

    The time-out of `urlopen` counts for each address of a host, and not for resolving its name,
    which alone can take half a minute behind a firewall: hence the thread and its deadline.
    """
    answers: queue.Queue = queue.Queue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=timeout))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
