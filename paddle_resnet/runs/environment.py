"""The machine, the versions and the commit that a run's metrics depend on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

import numpy as np
import paddle

from .. import cpu_runtime
from ..cpu_runtime import RUNTIME
from ..version import __version__


def environment() -> dict[str, Any]:
    """Return the facts that a metric depends on (JSON types)."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": _command(),
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_runtime.cpu_model(),
        "cores": RUNTIME.cores,
        "threads": RUNTIME.threads,
        "memory_gb": round(cpu_runtime.memory_gib(), 1),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "paddle_resnet": __version__,
        "device": paddle.device.get_device(),
    }


def _command() -> str:
    """Return how this process was started, as one would type it."""
    import shlex

    program, *arguments = sys.argv or [""]
    name = os.path.basename(program)
    if "ipykernel" in name or not name:
        return "a notebook or an interactive session"
    if name == "__main__.py":
        shown = "python -m paddle_resnet"
    else:
        shown = f"python tools/{name}" if name.endswith(".py") else name
    return " ".join([shown, *map(shlex.quote, arguments)])


def _commit() -> Optional[str]:
    """Return the commit of the checkout that the package runs from; None elsewhere."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        top = _output([*git, "rev-parse", "--show-toplevel"])
        if Path(top) != Path(__file__).resolve().parents[2]:
            return None  # some other project's checkout around an installed package
        commit = _output([*git, "rev-parse", "--short=10", "HEAD"])
        dirty = _output([*git, "status", "--porcelain", "--untracked-files=no"])
        return commit + ("+changes" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
