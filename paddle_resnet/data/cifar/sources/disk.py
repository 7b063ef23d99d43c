"""Copies that may already be on this machine: Paddle's dataset cache, AI Studio's mounted data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ....io.atomic_files import with_home
from .. import formats
from ..fingerprint import Arrays

ARCHIVE = "cifar-10-python.tar.gz"
AI_STUDIO = Path("/home/aistudio/data")


def from_paddle_cache(notify: Callable[[str], None]) -> Arrays:
    """Read what an earlier ``paddle.vision.datasets.Cifar10(download=True)`` has left."""
    return formats.read(paddle_cache() / ARCHIVE)


def from_ai_studio(notify: Callable[[str], None]) -> Arrays:
    """Read from a data set that the user mounted on AI Studio (``/home/aistudio/data/data*/``)."""
    return formats.read(on_ai_studio(ARCHIVE, "cifar-10-batches-py"))


def paddle_cache() -> Path:
    """Return the folder in which Paddle keeps the archives of CIFAR."""
    return with_home("~/.cache/paddle/dataset/cifar")


def on_ai_studio(*names: str) -> Path:
    """Return the first file or folder of these names among the mounted data sets.

    Raises:
        FileNotFoundError: there is none.
    """
    for name in names:
        for path in sorted(AI_STUDIO.glob(f"data*/{name}")):
            return path
    raise FileNotFoundError(f"there is no {names[0]} in {AI_STUDIO}/data*.")
