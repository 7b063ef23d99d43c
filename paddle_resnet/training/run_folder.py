"""A run's folder: what is in it, and what it says about where it ran."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

import numpy as np
import paddle

from .. import RUNTIME, __version__, runtime
from ..config import Config, config_to_yaml, load_config
from ..errors import TrainingError
from ..files import atomic_write_json, atomic_write_text


class RunFolder:
    """Names the files of a run; the table is in docs/architecture.md.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.log = self.path / "log.txt"
        self.history = self.path / "history.jsonl"
        self.steps = self.path / "steps.jsonl"
        self.visualdl = self.path / "visualdl"
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.result = self.path / "result.json"
        self.predictions = self.path / "predictions.npz"

    @classmethod
    def create(cls, config: Config, recipe: str) -> RunFolder:
        """Make a new folder, ``{run.dir}/{run.name}`` or ``{run.dir}/{recipe}-{date}-{time}``.

        Raises:
            TrainingError: a folder of that name holds a run already, or none can be made there.
        """
        parent = Path(config.run.dir).expanduser()
        name = config.run.name or f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}"
        path = parent / name
        try:
            parent.mkdir(parents=True, exist_ok=True)
            for number in range(2, 1000):
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    if config.run.name and path.is_dir() and not any(path.iterdir()):
                        break
                    if config.run.name:
                        raise TrainingError(
                            f"'{path}' exists: choose another run.name, or go on with that run: "
                            f"paddle-resnet train --resume {path}"
                        ) from None
                    path = parent / f"{name}-{number}"
        except OSError as error:
            raise TrainingError(
                f"cannot make the run's folder '{path}': {error.strerror or error}."
            ) from None
        folder = cls(path)
        atomic_write_text(folder.config, config_to_yaml(config))
        atomic_write_json(folder.environment, environment())
        return folder

    @classmethod
    def open(cls, path: str) -> RunFolder:
        """Return the folder of a run that exists.

        Raises:
            TrainingError: it is none.
        """
        folder = cls(Path(path))
        if not folder.config.is_file():
            raise TrainingError(f"'{path}' is no run folder: it holds no config.yaml.")
        return folder

    def read_config(self) -> Config:
        """Return the run's recipe."""
        return load_config(self.config)

    def write_result(self, result: dict[str, Any]) -> None:
        """Write result.json."""
        atomic_write_json(self.result, result)

    def rows(self, path: Path) -> list[dict[str, Any]]:
        """Return the rows of one of the JSON-lines files; a torn last line is left out."""
        rows = []
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):
                    rows.append(json.loads(line))
        return rows


def environment() -> dict[str, Any]:
    """Return the facts that a figure depends on (JSON types)."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": _command(),
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": runtime.cpu_model(),
        "cores": RUNTIME.cores,
        "threads": RUNTIME.threads,
        "memory_gb": round(runtime.memory_gib(), 1),
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


class Log:
    """Prints lines and keeps them in the run's log.txt, with the time in front."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warned = False

    def __call__(self, line: str) -> None:
        """Print a line and keep it."""
        print(line, flush=True)
        self.keep(line)

    def keep(self, line: str) -> None:
        """Keep a line without printing it."""
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        except OSError as error:
            if not self.warned:  # a full disk must not end a training over its log
                self.warned = True
                print(f"warning: cannot write '{self.path}': {error.strerror or error}.")
