"""Download the official archive from the address that Paddle itself uses."""

from __future__ import annotations

import http.client
import queue
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from paddle_resnet.data import formats
from paddle_resnet.data.fingerprint import Arrays
from paddle_resnet.errors import DataError

TIMEOUT = 8.0  # seconds until the server must have answered, and between any two parts after that
SIZE_LIMIT = 400 * 2**20  # bytes; the archive has 171 MB
PART = 2**20


def from_paddle_download(notify: Callable[[str], None]) -> Arrays:
    """Download ``cifar-10-python.tar.gz`` (171 MB); give up soon where there is no answer."""
    try:
        from paddle.vision.datasets.cifar import CIFAR10_URL
    except ImportError:
        raise DataError("PaddlePaddle is not installed, so its address is unknown.") from None
    return download(CIFAR10_URL, notify)


def download(url: str, notify: Callable[[str], None], timeout: float = TIMEOUT) -> Arrays:
    """Download and read the archive at ``url``, telling the progress every few seconds.

    Raises:
        DataError: No answer or no data within ``timeout`` seconds, or not a CIFAR-10 archive.
    """
    with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as folder:
        archive = Path(folder) / "cifar-10-python.tar.gz"
        try:
            _save(url, archive, notify, timeout)
        # HTTPException: a connection closed in the middle. ValueError: an address that is none.
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DataError(f"{url} could not be downloaded ({error}).") from error
        return formats.read(archive)


def _save(url: str, path: Path, notify: Callable[[str], None], timeout: float) -> None:
    with _open(url, timeout) as response, path.open("wb") as file:
        expected = int(response.headers.get("Content-Length") or 0)
        notify(f"Downloading CIFAR-10 from {url}")
        done, told = 0, time.monotonic()
        while part := response.read(PART):
            file.write(part)
            done += len(part)
            if done > SIZE_LIMIT:
                raise OSError("the file is far larger than CIFAR-10")
            if time.monotonic() - told > 3:
                told = time.monotonic()
                notify(f"  {done / 1e6:.0f} of {expected / 1e6:.0f} MB")
        if done < expected:
            raise OSError(f"the connection ended after {done} of {expected} bytes")


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """Open ``url`` within ``timeout`` seconds in all.

    The time-out of `urlopen` holds for each address of a host anew and not for the look-up of its
    name, which alone can take half a minute behind a firewall: hence the thread and its deadline.
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
