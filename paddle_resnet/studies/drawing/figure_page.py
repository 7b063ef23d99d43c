"""Drawings for pages: positions in a square of 1000 x 1000, which the page stretches.

As in the charts of reports, letters and lines keep their size from a telephone to a wide screen,
and the page needs a script for the read-out only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import numpy as np

from ... import formatting
from ...pages import ticks
from ...pages.charts import SIZE, Tick, value_range
from ...pages.images import png_data_uri as image_uri
from .figure import Bars, FigureSpec, HeatPanel, ImagePanel, Line, Panel, Points
from .heat_colors import colorize, scale_ticks
from .level_labels import along, places

MOST_TICKS = 7
_MOST_NAMES = 14
_MOST_LETTERS = 44
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """One axis: from values to fractions 0 to 1."""

    low: float
    high: float
    log: bool = False

    def at(self, values: Iterable[float]) -> np.ndarray:
        """Return fractions; NaN where a value has no place on the axis."""
        v = np.asarray(list(values), float)
        low, high = self.low, self.high
        if self.log:
            with np.errstate(invalid="ignore", divide="ignore"):
                v = np.where(v > 0, np.log10(v), np.nan)
            low, high = math.log10(low), math.log10(high)
        share = (v - low) / (high - low)
        # Far outside the frame is as good as just outside.
        return np.where(np.isfinite(share), np.clip(share, -1, 2), np.nan)

    def ticks(self, percent: bool = False, whole: bool = False) -> list[Tick]:
        """Return up to seven labelled positions; ``whole``: at whole numbers only."""
        if self.log:
            values = log_ticks(self.low, self.high)
            labels = log_labels(values)
        else:
            values = ticks.nice_ticks(self.low, self.high)
            if whole and len(values) > 1 and values[1] - values[0] < 1:
                values = [float(k) for k in range(math.ceil(self.low), math.floor(self.high) + 1)]
            labels = ticks.labels(values, "%" if percent else "")
        return [Tick(float(at), label) for at, label in zip(self.at(values), labels)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten within [low, high]; over less than two of them 2 and 5 times too."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        step = -(-(last - first + 1) // MOST_TICKS)
        return [10.0**power for power in range(first, last + 1) if power % step == 0]
    powers = range(first - 1, last + 1)
    values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def log_labels(values: Sequence[float]) -> list[str]:
    """Write the ticks of a logarithmic axis: ``0.2``, ``50``, or ``10⁵`` where one is far off."""
    if all(1e-3 <= value <= 1e4 for value in values):
        return [f"{value:,.10g}" for value in values]
    labels = []
    for value in values:
        power = math.floor(math.log10(value) + 1e-9)
        digit = round(value / 10.0**power)
        front = "" if digit == 1 else f"{digit}×"
        labels.append(f"{front}10{str(power).translate(_SUPERSCRIPT)}")
    return labels


@dataclass
class Mark:
    """One item of a panel as the template needs it."""

    name: str
    kind: str
    path: str = ""
    dots: str = ""
    errors: str = ""
    bars: list[tuple[float, float, float, float]] = field(default_factory=list)
    triangles: list[tuple[float, float]] = field(default_factory=list)
    dashed: bool = False


class PagePanel:
    """A panel with every position computed."""

    kind = "axes"

    def __init__(self, panel: Panel, id_: str) -> None:
        self.panel, self.id = panel, id_
        self.x, self.y = _scale(panel, "x"), _scale(panel, "y")
        self.y_ticks = self.y.ticks(panel.percent)
        if panel.x_names is None:
            self.x_ticks = self.x.ticks(whole=panel.counts)
        else:
            step = -(-len(panel.x_names) // _MOST_NAMES)
            places = self.x.at(range(len(panel.x_names)))
            named = list(zip(places, panel.x_names))[::step]
            self.x_ticks = [Tick(float(place), name) for place, name in named]
        lengths = [len(tick.label) for tick in self.x_ticks]
        #: Names that are too long to stand side by side in a third of a page, or on a telephone.
        self.slanted = (
            panel.x_names is not None and sum(lengths) + 1.5 * len(lengths) > _MOST_LETTERS
        )
        #: Of the longest name, for the height of slanted ones.
        self.letters = max(lengths, default=0)
        self.marks = [self._mark(item) for item in panel.items]
        self.levels = self._levels()

    @property
    def legend(self) -> list[Mark]:
        """The items that have names."""
        named = [mark for mark in self.marks if mark.name]
        return named if len(named) > 1 else []

    def _levels(self) -> list[tuple[float, str, str]]:
        """Return height, label and place of the label of each level within the frame."""
        heights = self.y.at(one.y for one in self.panel.levels)
        shown = [(float(h), one.label) for h, one in zip(heights, self.panel.levels) if 0 <= h <= 1]
        marks = []
        for item in self.panel.items:
            x, y = self.x.at(item.x), self.y.at(item.y)
            marks.append(along(x, y) if isinstance(item, Line) else (x, y))
        sides = places([h for h, _ in shown], [label for _, label in shown], marks)
        return [(height, label, side) for (height, label), side in zip(shown, sides)]

    def _mark(self, item: Union[Line, Points, Bars]) -> Mark:
        kind = f"{item.tone} shade{item.shade}"
        x, y = self.x.at(item.x) * SIZE, (1 - self.y.at(item.y)) * SIZE
        if isinstance(item, Bars):
            floor = 1 - self.y.at([self.y.low if self.panel.y_log else max(0.0, self.y.low)])[0]
            half = item.width / 2
            left, right = (self.x.at(np.asarray(item.x, float) + s * half) for s in (-1, 1))
            boxes = [
                (a * SIZE, min(top, floor * SIZE), (b - a) * SIZE, abs(floor * SIZE - top))
                for a, b, top in zip(left, right, y)
                if math.isfinite(top)
            ]
            return Mark(item.name, f"bars {kind}", bars=boxes)
        finite = np.isfinite(x) & np.isfinite(y)
        if isinstance(item, Points):
            errors = ""
            if item.error is not None:
                e = np.asarray(item.error, float)
                low = (1 - self.y.at(np.asarray(item.y, float) - e)) * SIZE
                high = (1 - self.y.at(np.asarray(item.y, float) + e)) * SIZE
                ends = zip(x[finite], low[finite], high[finite])
                errors = "".join(f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in ends)
            if item.marker == "triangle":
                places = list(zip(x[finite] / SIZE, y[finite] / SIZE))
                return Mark(item.name, f"points {kind}", errors=errors, triangles=places)
            return Mark(item.name, f"points {kind}", dots=_dots(x, y, finite), errors=errors)
        kind += " thin" if item.thin else ""
        kind += " dashed" if item.dashed else ""
        dots = "" if item.thin or finite.sum() > 24 else _dots(x, y, finite)
        return Mark(item.name, kind, path=_path(x, y, finite), dots=dots, dashed=item.dashed)

    def data(self) -> dict[str, Any]:
        """Return what the read-out needs, ready for JSON."""
        series = []
        for item, mark in zip(self.panel.items, self.marks):
            if isinstance(item, Bars) or not item.name:
                continue
            x, y = self.x.at(item.x), 1 - self.y.at(item.y)
            series.append(
                {
                    "name": item.name,
                    "kind": mark.kind,
                    "x": _fractions(x),
                    "y": _fractions(y),
                    "text": [self._value(v) for v in item.y],
                    "place": [f"{self.panel.x_label}: {self._place(v)}" for v in item.x],
                }
            )
        return {"id": self.id, "over": self.panel.x_label, "series": series}

    def summary(self) -> str:
        """Return the panel in words, for those who do not see it."""
        parts = []
        for item in self.panel.items:
            values = [v for v in item.y if math.isfinite(v)]
            if item.name and values:
                ends = f"from {self._value(values[0])} to {self._value(values[-1])}"
                parts.append(f"{item.name}: {ends}")
        return f"{self.panel.title}. {self.panel.y_label} over {self.panel.x_label}. " + (
            "; ".join(parts) + "."
        )

    def _value(self, value: float) -> str:
        return (
            formatting.percent(value, 1)
            if self.panel.percent
            else formatting.decimal(float(value), 3)
        )

    def _place(self, value: float) -> str:
        names = self.panel.x_names
        if names is not None and 0 <= round(value) < len(names):
            return names[round(value)]
        return formatting.decimal(float(value), 3)


class PageHeat:
    """A heat map as an image of one pixel a value, stretched by the page."""

    kind = "heat"

    def __init__(self, panel: HeatPanel, id_: str) -> None:
        self.panel, self.id = panel, id_
        self.image = image_uri(colorize(panel))
        rows, columns = panel.values.shape
        self.x_ticks = _named_ticks(panel.x_names, columns)
        self.y_ticks = [Tick(1 - t.at, t.label) for t in _named_ticks(panel.y_names, rows)]
        self.scale = scale_ticks(panel)

    def summary(self) -> str:
        """Return the panel in words."""
        finite = self.panel.values[np.isfinite(self.panel.values)]
        ends = (
            f"from {formatting.decimal(finite.min(), 3)} to {formatting.decimal(finite.max(), 3)}"
        )
        return f"{self.panel.title}: {self.panel.y_label} by {self.panel.x_label}, values {ends}."


class PageImages:
    """Images as data addresses."""

    kind = "images"

    def __init__(self, panel: ImagePanel, id_: str) -> None:
        self.panel, self.id = panel, id_
        self.rows = [
            (name, [image_uri(image) for image in row])
            for name, row in zip(panel.row_names, panel.rows)
        ]


PageFigure = Union[PagePanel, PageHeat, PageImages]


def page_panels(spec: FigureSpec, prefix: str) -> list[PageFigure]:
    """Return the panels of a figure, with ids that begin with ``prefix``."""
    makers = {Panel: PagePanel, HeatPanel: PageHeat, ImagePanel: PageImages}
    return [
        makers[type(panel)](panel, f"{prefix}-{i}")  # type: ignore[arg-type]
        for i, panel in enumerate(spec.panels)
    ]


def _scale(panel: Panel, axis: str) -> Scale:
    log, given = getattr(panel, f"{axis}_log"), getattr(panel, f"{axis}_range")
    if given is not None:
        return Scale(*given, log)
    values = np.concatenate(
        [np.asarray(getattr(item, axis), float).ravel() for item in panel.items] or [np.zeros(0)]
    )
    if axis == "x" and panel.x_names is not None:
        return Scale(-0.5, len(panel.x_names) - 0.5)
    if axis == "y":
        values = np.r_[values, [level.y for level in panel.levels]]
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not values.size:
        return Scale(1.0, 10.0, log)
    low, high = float(values.min()), float(values.max())
    if log:
        room = max(high / low, 1.5) ** 0.04
        return Scale(low / room, high * room, True)
    if axis == "y":
        bars = any(isinstance(item, Bars) for item in panel.items)
        return Scale(*value_range(values, from_zero=bars))
    margin = max(
        [item.width / 2 for item in panel.items if isinstance(item, Bars)]
        or [0.02 * (high - low) or 0.5]
    )
    return Scale(low - margin, high + margin)


def _named_ticks(names: Sequence[str], count: int) -> list[Tick]:
    step = -(-len(names) // 12)
    return [Tick((i + 0.5) / count, name) for i, name in enumerate(names) if i % step == 0 and name]


def _path(x: np.ndarray, y: np.ndarray, finite: np.ndarray) -> str:
    parts, down = [], False
    for a, b, ok in zip(x, y, finite):
        if ok:
            parts.append(f"{'L' if down else 'M'}{a:.1f} {b:.1f}")
        down = bool(ok)
    return "".join(parts)


def _dots(x: np.ndarray, y: np.ndarray, finite: np.ndarray) -> str:
    # Strokes of no length, whose round caps stay round when the page stretches the square.
    return "".join(f"M{a:.1f} {b:.1f}h.01" for a, b in zip(x[finite], y[finite]))


def _fractions(values: np.ndarray) -> list[Optional[float]]:
    return [round(float(v), 4) if math.isfinite(v) else None for v in values]
