"""The four charts of a training: loss, accuracy, learning rate, speed."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from .. import formatting
from ..pages import charts
from ..pages.charts import Chart, Series
from ..runs.run_reader import Run, position
from . import summary_cards

Row = dict[str, Any]
Write = Callable[[object], str]


def training_curves(run: Run) -> list[Chart]:
    """Return the charts that a run has numbers for; each over passes of the training set."""
    places = _positions([*run.history, *run.steps])
    end = float(places[np.isfinite(places)].max(initial=0.0))
    if end <= 0:
        return []
    span = (0.0, end)
    with_percent, period = formatting.percent, summary_cards.period(run)
    charts_ = [
        _chart(
            "loss",
            "Loss",
            span,
            [
                _fine(run.steps, "loss", "training, by step", formatting.decimal),
                _epochs(run.history, "loss", "training", "train", formatting.decimal),
                _epochs(run.history, "val_loss", "validation", "validation", formatting.decimal),
            ],
        ),
        _chart(
            "accuracy",
            "Accuracy",
            span,
            [
                _fine(run.steps, "acc_top1", "training, by step", with_percent),
                _epochs(run.history, "acc_top1", "training", "train", with_percent),
                _epochs(run.history, "val_acc_top1", "validation", "validation", with_percent),
            ],
            unit="%",
        ),
        _chart(
            "lr",
            "Learning rate",
            span,
            # Never smoothed: a drop of the rate is a drop.
            [_exact(run.steps or run.history, "lr", "learning rate")],
            from_zero=True,
        ),
        _chart(
            "speed",
            "Speed, images per second",
            span,
            [
                _fine(run.steps, "images_per_second", "by step", formatting.rate),
                _epochs(run.history, "images_per_second", period, "train", formatting.rate),
            ],
            from_zero=True,
        ),
    ]
    return [chart for chart in charts_ if chart]


def _chart(
    id_: str,
    title: str,
    span: tuple[float, float],
    series: list[Series | None],
    unit: str = "",
    from_zero: bool = False,
) -> Chart | None:
    present = [s for s in series if s is not None]
    if not present:
        return None
    values = np.concatenate([s.y for s in present])
    most = 1.0 if unit == "%" else math.inf
    return Chart(
        id_, title, _note(present), present, span, charts.value_range(values, most, from_zero), unit
    )


def _note(series: list[Series]) -> str:
    """Say what a reader cannot see: where the numbers ended, and the line with them."""
    # Validation may simply not have taken place after an epoch.
    lost = [
        (one.x[i], one.places[i])
        for one in series
        if one.kind != "validation"
        for i in np.flatnonzero(~np.isfinite(one.y))[:1]
    ]
    return f"Some values are not a number, first at {min(lost)[1]}." if lost else ""


def _column(rows: list[Row], key: str) -> np.ndarray:
    return np.array([formatting.number(row.get(key)) for row in rows], float)


def _positions(rows: list[Row]) -> np.ndarray:
    return np.array([position(row) for row in rows], float)


def _epochs(rows: list[Row], key: str, name: str, kind: str, write: Write) -> Series | None:
    """One point per row of history.jsonl, as it is."""
    y = _column(rows, key)
    if not np.isfinite(y).any():
        return None
    return Series(name, kind, _positions(rows), y, [write(v) for v in y], _places(rows))


def _fine(rows: list[Row], key: str, name: str, write: Write) -> Series | None:
    """Many readings, thinned and lightly smoothed: the trend behind the epochs' points."""
    y = _column(rows, key)
    if not np.isfinite(y).any():
        return None
    x, y, step, seconds = charts.thin(
        _positions(rows), y, _column(rows, "step"), _column(rows, "seconds")
    )
    y = charts.smooth(y, max(1, len(y) // 60) | 1)
    places = [_place(*moment) for moment in zip(x, step, seconds)]
    return Series(name, "fine", x, y, [write(float(v)) for v in y], places)


def _exact(rows: list[Row], key: str, name: str) -> Series | None:
    """Every so many-th reading, unchanged, and the last one."""
    if not np.isfinite(_column(rows, key)).any():
        return None
    picked = np.unique(np.linspace(0, len(rows) - 1, charts.MOST_POINTS).round().astype(int))
    rows = [rows[i] for i in picked]
    y = _column(rows, key)
    texts = [formatting.decimal(float(v)) for v in y]
    return Series(name, "rate", _positions(rows), y, texts, _places(rows))


def _places(rows: list[Row]) -> list[str]:
    steps, seconds = _column(rows, "step"), _column(rows, "seconds")
    return [_place(*moment) for moment in zip(_positions(rows), steps, seconds)]


def _place(epochs: float, step: float, seconds: float) -> str:
    parts = [f"epoch {formatting.passes(float(epochs))}"]
    if math.isfinite(step):
        parts.append(f"step {formatting.count(step)}")
    if math.isfinite(seconds):
        parts.append(formatting.duration(float(seconds)))
    return " · ".join(parts)
