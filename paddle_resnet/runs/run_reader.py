"""A run folder as it is found: finished, interrupted, or with corrupt files.

Only text and NumPy: it works on a machine without Paddle.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .. import formatting
from ..errors import UserError
from .seeds_folder import seeds_folder_error

# A folder with none of these was not written by `paddle-resnet train`.
SIGNS = ("config.yaml", "environment.json", "history.jsonl", "steps.jsonl", "result.json")


@dataclass(frozen=True)
class Predictions:
    """The network's predictions for the test set.

    ``labels`` int64 [N]; ``probabilities`` float [N, classes]; ``mistakes`` int64 [M], indices of
    the most confident mistakes, worst first; ``mistake_images`` uint8 [M, channels, H, W];
    ``mistake_heatmaps`` uint8 [M, h, w], or None in runs of older versions.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    mistakes: np.ndarray
    mistake_images: np.ndarray
    mistake_heatmaps: np.ndarray | None = None


@dataclass
class Run:
    """A run folder in memory. What is missing is empty; ``notes`` lists it, with the reason."""

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    predictions: Predictions | None = None
    notes: list[str] = field(default_factory=list)
    #: Names of the JSON files that are there and hold something else.
    corrupt: set[str] = field(default_factory=set)

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of ``result.json``, empty when it is absent or null."""
        value = self.result.get(name)
        return value if isinstance(value, dict) else {}


def read_run(folder: str | Path) -> Run:
    """Read what a run folder holds.

    Raises:
        UserError: ``folder`` does not exist, is a file, holds several runs, or no file of a run
            that can be read.
    """
    folder = Path(folder)
    wanted = (
        "expected the folder of a run, as `paddle-resnet train` writes it, with config.yaml, "
        "history.jsonl or result.json in it."
    )
    if not folder.exists():
        raise UserError(f"There is no '{folder}': {wanted}")
    if not folder.is_dir():
        raise UserError(f"'{folder}' is a file: {wanted}")
    if several := seeds_folder_error(folder):
        raise UserError(several)
    if not any((folder / name).is_file() for name in SIGNS):
        raise UserError(f"'{folder}' is not a run: {wanted}")

    run = Run(folder)
    run.config_text = _text(run, "config.yaml", "the recipe is not shown")
    run.config = _config(run)
    run.environment = _json(run, "environment.json", "how to repeat the run is not shown")
    run.history = _rows(run, "history.jsonl", "there are no metrics per epoch")
    run.steps = _rows(run, "steps.jsonl", "the curves show whole epochs only")
    run.result = _json(run, "result.json", "the run has not ended, or was killed")
    run.predictions = _predictions(run)
    if "result.json" in run.corrupt and not any(
        (run.config_text, run.environment, run.history, run.steps, run.predictions)
    ):
        raise UserError(f"'{folder}' is not a run, its result.json is corrupt: {wanted}")
    return run


def _text(run: Run, name: str, consequence: str) -> str:
    try:
        # "replace": a file cut in the middle of a character is still worth reading.
        return (run.folder / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        run.notes.append(f"There is no {name}: {consequence}.")
    except OSError as error:
        run.notes.append(f"{name} cannot be read ({error.strerror}): {consequence}.")
    return ""


def _config(run: Run) -> dict[str, Any]:
    try:
        value = yaml.safe_load(run.config_text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = None
    if run.config_text.strip() and not isinstance(value, dict):
        run.notes.append("config.yaml is corrupt: the recipe is shown as plain text.")
    return value if isinstance(value, dict) else {}


def _json(run: Run, name: str, consequence: str) -> dict[str, Any]:
    text = _text(run, name, consequence)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        run.corrupt.add(name)
        run.notes.append(f"{name} is corrupt: {consequence}.")
        return {}
    return value


def _rows(run: Run, name: str, consequence: str) -> list[dict[str, Any]]:
    """Read JSON lines, skipping corrupt ones: a killed process leaves half a line at the end."""
    rows: list[dict[str, Any]] = []
    corrupt = 0
    for line in _text(run, name, consequence).split("\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            corrupt += 1
            continue
        # A run that resumes from an older checkpoint walks part of the way again: the later
        # rows replace the earlier ones.
        while rows and position(rows[-1]) >= position(row):
            rows.pop()
        rows.append(row)
    if corrupt:
        lines = formatting.counted(corrupt, "line")
        was = "was" if corrupt == 1 else "were"
        run.notes.append(f"{lines} of {name} could not be read and {was} left out.")
    return rows


def position(row: dict[str, Any]) -> float:
    """Return how many passes over the training set lie before a row's moment."""
    epochs = formatting.number(row.get("epochs"))
    return epochs if np.isfinite(epochs) else formatting.number(row.get("epoch"))


def _predictions(run: Run) -> Predictions | None:
    path = run.folder / "predictions.npz"
    without = "no confusion matrix, calibration or mistakes"
    if not path.is_file():
        run.notes.append(f"There is no predictions.npz: {without}.")
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError):
        run.notes.append(f"predictions.npz is corrupt: {without}.")
        return None
    labels, probabilities = arrays.get("labels"), arrays.get("probabilities")
    if (
        labels is None
        or probabilities is None
        or labels.ndim != 1
        or probabilities.ndim != 2
        or len(labels) != len(probabilities)
        or labels.dtype.kind not in "iu"
        or probabilities.dtype.kind != "f"
        or not len(labels)
        or not probabilities.shape[1]
        or labels.min() < 0
        or labels.max() >= probabilities.shape[1]
    ):
        run.notes.append(
            "predictions.npz does not hold labels [N] and probabilities [N, classes] that fit "
            f"together: {without}."
        )
        return None
    mistakes, images = _mistakes(run, arrays, len(labels))
    heatmaps = _heatmaps(arrays, len(mistakes))
    finite = np.isfinite(probabilities).all(axis=1)
    if not finite.all():
        lost = formatting.counted(int((~finite).sum()), "image")
        run.notes.append(f"For {lost} the network's output is not a number: they are left out.")
        if not finite.any():
            return None
        # Mistakes are indices into the whole test set: they follow their images.
        kept = [finite[i] for i in mistakes]
        mistakes, images = (np.cumsum(finite) - 1)[mistakes[kept]], images[kept]
        heatmaps = None if heatmaps is None else heatmaps[kept]
        labels, probabilities = labels[finite], probabilities[finite]
    return Predictions(labels, probabilities, mistakes, images, heatmaps)


def _mistakes(run: Run, arrays: dict[str, np.ndarray], total: int) -> tuple[np.ndarray, np.ndarray]:
    mistakes, images = arrays.get("mistakes"), arrays.get("mistake_images")
    if (
        mistakes is None
        or images is None
        or mistakes.ndim != 1
        or mistakes.dtype.kind not in "iu"
        or images.ndim != 4
        or images.dtype != np.uint8
        or images.shape[1] not in (1, 3)
        or len(images) != len(mistakes)
        or (len(mistakes) and not 0 <= mistakes.min() <= mistakes.max() < total)
    ):
        run.notes.append("predictions.npz holds no images of mistakes that can be shown.")
        return np.zeros(0, np.int64), np.zeros((0, 3, 1, 1), np.uint8)
    return mistakes, images


def _heatmaps(arrays: dict[str, np.ndarray], mistakes: int) -> np.ndarray | None:
    found = arrays.get("mistake_heatmaps")
    if found is None or found.ndim != 3 or found.dtype != np.uint8:
        return None
    return found if len(found) == mistakes and min(found.shape[1:]) > 0 else None
