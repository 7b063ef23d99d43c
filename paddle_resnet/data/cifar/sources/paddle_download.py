"""Download the official archive from the address that Paddle itself uses."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ....errors import DataError
from ....io.downloads import TIMEOUT, fetch
from .. import formats
from ..fingerprint import Arrays

SIZE_LIMIT = 400 * 2**20  # bytes; the archive has 171 MB


def from_paddle_download(notify: Callable[[str], None]) -> Arrays:
    """Download ``cifar-10-python.tar.gz`` (171 MB); give up soon where there is no answer."""
    try:
        from paddle.vision.datasets.cifar import CIFAR10_URL
    except ImportError:
        raise DataError("PaddlePaddle is not installed, so its address is unknown.") from None
    return download(CIFAR10_URL, notify)


def download(url: str, notify: Callable[[str], None], timeout: float = TIMEOUT) -> Arrays:
    """Download and read the archive at ``url``, logging the progress every few seconds.

    Raises:
        DataError: No answer or no data within ``timeout`` seconds, or not a CIFAR-10 archive.
    """
    with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as folder:
        archive = Path(folder) / "cifar-10-python.tar.gz"
        return formats.read(fetch_archive(url, archive, "CIFAR-10", notify, timeout))


def fetch_archive(
    url: str, into: Path, what: str, notify: Callable[[str], None], timeout: float = TIMEOUT
) -> Path:
    """Download an archive, logging the progress every few seconds, and return where it is.

    Raises:
        DataError: No answer or no data within ``timeout`` seconds.
    """
    logged = 0.0

    def log(done: int, expected: int) -> None:
        nonlocal logged
        if not logged:
            notify(f"Downloading {what} from {url}")
        elif time.monotonic() - logged > 3:
            notify(f"  {done / 1e6:.0f} of {expected / 1e6:.0f} MB")
        else:
            return
        logged = time.monotonic()

    try:
        with into.open("wb") as file:
            fetch(url, file, SIZE_LIMIT, timeout, log)
    except OSError as error:
        raise DataError(f"{url} could not be downloaded ({error}).") from error
    return into
