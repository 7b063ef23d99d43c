"""The folder of a run: paths, creation, lock."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Optional, Union

from ..config import Config, config_to_yaml, load_config
from ..data.splits import record_images
from ..distributed.collectives import broadcast_from_rank0
from ..errors import TrainingError, UserError
from ..io.atomic_files import atomic_write_json, atomic_write_text, with_home
from ..io.file_lock import FolderLock
from .checkpoint_folder import CheckpointFolder
from .environment import environment


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

        It is locked until :meth:`release`.

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
                            f"'{path}' exists: choose another run.name, or resume that run: "
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

    def is_finished(self) -> bool:
        """Return whether the run has come to its end."""
        try:
            return json.loads(self.result.read_text(encoding="utf-8"))["status"] == "finished"
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def has_checkpoints(self) -> bool:
        """Return whether there is any, valid or not."""
        return bool(CheckpointFolder(self.checkpoints).files())

    def acquire(self) -> None:
        """Lock the folder, until :meth:`release` or the end of this process.

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
        """Unlock the folder."""
        self._lock.release()

    def is_deleted(self) -> bool:
        """Return whether the folder was removed, or what makes it a run."""
        return not self.config.exists()

    def remove_stale_files(self) -> None:
        """Remove temporary files of killed processes, and the result of an earlier launch."""
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
                f"'{self.path}' holds no checkpoint to resume from. Its weights can be used as "
                "they are: paddle-resnet predict."
            )
        for path in (self.history, self.steps, self.last, self.best, *self.visualdl.glob("*")):
            _remove(path)

    def read_config(self) -> Config:
        """Return the run's recipe."""
        return load_config(self.config, resolved=True)

    def rows(self, path: Path) -> list[dict[str, Any]]:
        """Return the rows of one of the JSON-lines files; an incomplete last line is left out."""
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
    """Return whether a folder holds no run."""
    # A process that is killed early leaves files without a recipe.
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
    # What does not exist is a word such as `sample` or `published`, or begins with `~`.
    return os.path.abspath(path) if path and os.path.exists(path) else path
