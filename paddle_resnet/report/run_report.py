"""`report.html`: the story of a run on one page that needs nothing but itself.

The page is made from the run folder's files alone, works without a network and without scripts
(they only add read-outs), and says what is missing rather than failing over it.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from .. import formatting
from ..pages import page
from ..pages.metric_cards import card_spans
from ..pages.recipe_table import environment_facts, recipe_groups
from ..runs.run_reader import Run, read_run
from ..stats import wilson
from . import confusion_figure, mistakes, summary_cards
from .calibration import expected_calibration_error, reliability
from .confusion import class_scores, confusion_matrix, most_confused
from .training_curves import training_curves

NAME = "report.html"
MOST_PAIRS = 12
# The matrix of more classes takes too much memory, here and in the reader's browser.
MOST_CLASSES = 2000


def write_report(run_dir: str | Path) -> Path:
    """Write ``report.html`` into a run folder, in one piece, and return its path.

    Args:
        run_dir: the folder of a run, finished or not.

    Raises:
        UserError: ``run_dir`` does not exist, is a file, or holds no file of a run.
        OSError: the folder cannot be written to.
    """
    return page.write(render_report(read_run(run_dir)), Path(run_dir) / NAME)


def render_report(run: Run) -> str:
    """Return the page of a run as HTML."""
    curves = training_curves(run)
    cards = summary_cards.cards(run)
    names = summary_cards.class_names(run)
    notes = list(run.notes)
    outcome = _outcome(run, names, notes)
    return page.render(
        "report.html.j2",
        run=run,
        network=summary_cards.network_name(run),
        data_name=summary_cards.data_name(run),
        status=summary_cards.status(run),
        notices=summary_cards.notices(run),
        headline=summary_cards.headline(run),
        cards=cards,
        spans=card_spans(cards),
        period=summary_cards.period(run),
        curves=curves,
        curves_json=page.json_block([chart.data() for chart in curves]),
        recipe=recipe_groups(run.config),
        facts=environment_facts(run.environment),
        command=_command(run.environment.get("command")),
        notes=notes,
        **outcome,
    )


def _outcome(run: Run, names: list[str], notes: list[str]) -> dict[str, Any]:
    """Return what follows from the predictions; everything None or empty when there are none."""
    said = run.predictions
    if said is None:
        return {"matrix": None, "calibration": None, "mistakes": []}
    predicted = said.probabilities.argmax(axis=1)
    right = predicted == said.labels
    _compare_accuracy(run, float(right.mean()), notes)
    small = len(names) <= MOST_CLASSES
    if not small:
        notes.append(f"{formatting.count(len(names))} classes are too many for a confusion matrix.")
    return {
        "matrix": _matrix(said.labels, predicted, names) if small else None,
        "calibration": _calibration(said.probabilities.max(axis=1).astype(np.float64), right),
        "mistakes": mistakes.top_losses(said, names),
    }


def _compare_accuracy(run: Run, accuracy: float, notes: list[str]) -> None:
    """Note it when predictions and result are of different weights: their metrics do not mix."""
    stated = formatting.number(run.section("test").get("acc_top1"))
    # float16 probabilities tie now and then, which moves a few images in ten thousand.
    if abs(stated - accuracy) > 0.002:
        notes.append(
            f"predictions.npz is right for {formatting.percent(accuracy)} of its images, "
            f"result.json says {formatting.percent(stated)}: they may be of different weights."
        )


def _matrix(labels: np.ndarray, predicted: np.ndarray, names: list[str]) -> dict[str, Any]:
    matrix = confusion_matrix(labels, predicted, len(names))
    pairs = most_confused(matrix, MOST_PAIRS)
    scores = class_scores(matrix)
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    large = len(names) > confusion_figure.MOST_CELLS_ACROSS
    return {
        "names": names,
        "large": large,
        "cells": [] if large else confusion_figure.cells(matrix, names),
        "image": confusion_figure.image(matrix) if large else "",
        "json": page.json_block({"names": names, "fields": confusion_figure.sparse(matrix)})
        if large
        else "",
        "pairs": [
            (names[p.true], names[p.predicted], p.count, p.images, p.count / p.images)
            for p in pairs
        ],
        "scores": [
            (names[s.index], s, names[int(row.argmax())] if row.any() else "", int(row.max()))
            for s, row in zip(scores, off)
        ],
    }


def _calibration(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    bins = reliability(confidence, right)
    largest = max(b.count for b in bins)
    return {
        "error": expected_calibration_error(bins),
        "confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
        "bars": [
            {
                "bin": b,
                "interval": wilson(round(b.accuracy * b.count), b.count),
                "height": b.count / largest,
            }
            for b in bins
        ],
    }


def _command(command: object) -> str:
    if isinstance(command, list):
        return shlex.join(str(part) for part in command)
    return str(command or "").strip()
