"""A run's folder: what is in it, and what it says about where it ran."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import paddle

from .. import cpu_runtime
from ..config import Config, config_to_dict, config_to_yaml, load_config
from ..cpu_runtime import RUNTIME
from ..data.splits import record_images
from ..distributed.collectives import broadcast_from_rank0
from ..errors import ConfigError, TrainingError, UserError
from ..io.atomic_files import atomic_write_json, atomic_write_text, with_home
from ..io.file_lock import FolderLock
from ..version import __version__
from .checkpoint_folder import CheckpointFolder


class RunFolder:
    """Names the files of a run; the table is in docs/architecture.md.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.images = self.path / "images.csv"
        self.log = self.path / "log.txt"
        self.history = self.path / "history.jsonl"
        self.steps = self.path / "steps.jsonl"
        self.visualdl = self.path / "visualdl"
        self.checkpoints = self.path / "checkpoints"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.result = self.path / "result.json"
        self.predictions = self.path / "predictions.npz"
        self._lock = FolderLock(self.path / ".lock")

    @classmethod
    def create(cls, config: Config, recipe: str) -> RunFolder:
        """Make a new folder, ``{run.dir}/{run.name}`` or ``{run.dir}/{recipe}-{date}-{time}``.

        It is this process's alone until :meth:`release`.

        Raises:
            TrainingError: a folder of that name holds a run already, or none can be made there.
        """
        parent = with_home(config.run.dir)
        name = config.run.name or f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}"
        path = parent / name
        folder = cls(path)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            for number in range(2, 1000):
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    if config.run.name and is_unused(path):
                        break
                    if config.run.name:
                        raise TrainingError(
                            f"'{path}' exists: choose another run.name, or go on with that run: "
                            f"paddle-resnet train --resume {path}"
                        ) from None
                    path = parent / f"{name}-{number}"
            folder = cls(path)
            folder.acquire()
            atomic_write_json(folder.environment, environment())
            config = record_images(config, folder.images)
            # Last: with its recipe, a folder is a run.
            atomic_write_text(folder.config, config_to_yaml(absolute_paths(config)))
        except OSError as error:
            folder.release()
            raise TrainingError(
                f"cannot make the run's folder '{path}': {error.strerror or error}."
            ) from None
        except UserError:  # the images changed a moment ago
            folder.release()
            raise
        return folder

    @classmethod
    def create_on_all_ranks(cls, config: Config, recipe: str) -> RunFolder:
        """Call :meth:`create` on rank 0, and return the folder on every rank; rank 0 locks it."""
        made: list[RunFolder] = []

        def create() -> str:
            made.append(cls.create(config, recipe))
            return str(made[0].path)

        path = broadcast_from_rank0(create)
        return made[0] if made else cls(Path(path))

    @classmethod
    def open(cls, path: Union[str, Path]) -> RunFolder:
        """Return the folder of a run that exists.

        Raises:
            TrainingError: it is none.
        """
        folder = cls(Path(path))
        if not folder.config.is_file():
            raise TrainingError(f"'{path}' is no run folder: it holds no config.yaml.")
        return folder

    @classmethod
    def find(cls, config: Config) -> Optional[RunFolder]:
        """Return the folder that ``run.dir`` and ``run.name`` name, where it holds a run.

        Raises:
            ConfigError: there is no name to find it by, or its run has another recipe.
        """
        if config.run.name is None:
            raise ConfigError(
                "train.resume is 'auto' and run.name is not given: without a name, there is no "
                "folder to go on with."
            )
        folder = cls(with_home(config.run.dir) / config.run.name)
        if not folder.config.is_file():
            return None
        different = _differences(folder.read_config(), absolute_paths(config))
        if different:
            key, before, now = different[0]
            raise ConfigError(
                f"the run '{folder.path}' has {key} {before!r}, and now it is {now!r}: it can only "
                "go on with the recipe it began with. For a new run, choose another run.name; to "
                f"begin it with these weights, add -o model.pretrained={folder.path}."
            )
        return folder

    def config_with(self, config: Config) -> Config:
        """Return the run's own recipe, with what of another one may change while it goes on."""
        own = self.read_config()
        changes = {
            section: dataclasses.replace(
                getattr(own, section),
                **{
                    key: getattr(getattr(config, section), key)
                    for key in _keys_of(config, section)
                    if _is_free(section, key)
                },
            )
            for section in ("data", "train", "run")
        }
        return dataclasses.replace(own, **changes)

    def is_finished(self) -> bool:
        """Return whether the run has come to its end."""
        try:
            return json.loads(self.result.read_text(encoding="utf-8"))["status"] == "finished"
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def has_checkpoints(self) -> bool:
        """Return whether there is any, sound or not."""
        return bool(CheckpointFolder(self.checkpoints).files())

    def acquire(self) -> None:
        """Make sure that no other process works here, until :meth:`release` or this one's end.

        Raises:
            TrainingError: another one does, or the folder cannot be written.
        """
        try:
            self._lock.acquire()
        except BlockingIOError:
            raise TrainingError(
                f"another process is training in '{self.path}': two runs cannot share a folder."
            ) from None
        except OSError as error:
            raise TrainingError(
                f"cannot write into the run folder '{self.path}': {error.strerror or error}."
            ) from None

    def release(self) -> None:
        """Let others work here."""
        self._lock.release()

    def is_deleted(self) -> bool:
        """Return whether the folder was removed, or what makes it a run."""
        return not self.config.exists()

    def remove_stale_files(self) -> None:
        """Remove what a killed process left: halves of files, and a result that is none yet."""
        for place in (self.path, self.checkpoints, self.visualdl):
            for path in place.glob(".*.tmp"):
                _remove(path)
        _remove(self.result)

    def reset(self) -> None:
        """Remove what a run left that was killed before its first checkpoint.

        Raises:
            TrainingError: there is more than that: checkpoints are missing.
        """
        if len(self.rows(self.history)) > 1:
            raise TrainingError(
                f"'{self.path}' holds no checkpoint to go on from. Its weights can be used as they "
                "are: paddle-resnet predict."
            )
        for path in (self.history, self.steps, self.last, self.best, *self.visualdl.glob("*")):
            _remove(path)

    def read_config(self) -> Config:
        """Return the run's recipe."""
        return load_config(self.config, resolved=True)

    def rows(self, path: Path) -> list[dict[str, Any]]:
        """Return the rows of one of the JSON-lines files; a torn last line is left out."""
        rows = []
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):
                    rows.append(json.loads(line))
        return rows


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def is_unused(path: Path) -> bool:
    """Return whether a folder holds nothing of any run."""
    # Of a process killed at its very beginning there may be files without a recipe.
    leftovers = {"environment.json", "images.csv", ".lock"}
    return path.is_dir() and all(
        each.name in leftovers or each.name.endswith(".tmp") for each in path.iterdir()
    )


def absolute_paths(config: Config) -> Config:
    """Return a recipe that means the same in every working directory."""
    data = dataclasses.replace(config.data, root=_absolute(config.data.root))
    model = dataclasses.replace(config.model, pretrained=_absolute(config.model.pretrained))
    return dataclasses.replace(config, data=data, model=model)


def _absolute(path: Optional[str]) -> Optional[str]:
    # What is not there is a word such as `sample` or `published`, or begins with `~`.
    return os.path.abspath(path) if path and os.path.exists(path) else path


#: What of a recipe may change while a run goes on: where and how often, but not what.
_FREE = {
    *("data.root", "data.download", "data.workers", "data.cache_mb"),
    *("train.resume", "train.checkpoint_interval", "train.keep_checkpoints"),
}
#: What a pretrained network says about itself, and has been written into the run's recipe.
_FROM_PRETRAINED = {
    *("model.name", "model.options"),
    *("data.image_size", "data.normalize", "data.mean", "data.std"),
}
#: What a run began with where the recipe leaves it open.
_WHAT_AUTO_BECOMES = [("train.precision", dtype, "auto") for dtype in ("float32", "bfloat16")]


#: What is chosen for a run's images where the recipe leaves it open.
_CHOSEN = {"data.value_range"}


def _keys_of(config: Config, section: str) -> list[str]:
    return [field.name for field in dataclasses.fields(getattr(config, section))]


def _is_free(section: str, key: str) -> bool:
    return section == "run" or f"{section}.{key}" in _FREE


def _differences(before: Config, now: Config) -> list[tuple[str, Any, Any]]:
    old, new = config_to_dict(before), config_to_dict(now)
    filled_in = _FROM_PRETRAINED if now.model.pretrained else set()
    return [
        (f"{section}.{key}", value, new[section][key])
        for section, values in old.items()
        for key, value in values.items()
        if value != new[section][key]
        and not _is_free(section, key)
        and (f"{section}.{key}", value, new[section][key]) not in _WHAT_AUTO_BECOMES
        and f"{section}.{key}" not in filled_in
        and not (f"{section}.{key}" in _CHOSEN and new[section][key] is None)
    ]


def environment() -> dict[str, Any]:
    """Return the facts that a figure depends on (JSON types)."""
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
