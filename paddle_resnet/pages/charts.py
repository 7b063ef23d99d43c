"""Line charts: from numbers to positions in a square of 1000 × 1000.

The page stretches that square to the width it has and puts the labels around it as ordinary text,
so that letters and lines keep their size from a telephone to a wide screen. Every position is
computed here: the page needs a script for the read-out only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from . import ticks

SIZE = 1000
# More points than this on a chart some 500 pixels wide cannot be distinguished.
MOST_POINTS = 360
MOST_DOTS = 40


@dataclass
class Series:
    """A line: ``x`` and ``y`` float [n] (NaN is a gap), what to read out at each of its points.

    ``kind`` is the class of its look in the style sheet: ``train``, ``validation`` or ``fine``
    (a pale line behind the others), or ``rate`` (a line without dots). ``texts`` are
    the values and ``places`` the moments, in words.
    """

    name: str
    kind: str
    x: np.ndarray
    y: np.ndarray
    texts: list[str]
    places: list[str]


@dataclass
class Tick:
    """A labelled position, as a fraction of the axis."""

    at: float
    label: str


@dataclass
class Chart:
    """A chart with its scales. ``unit`` is ``%`` when the values are fractions, else nothing."""

    id: str
    title: str
    note: str
    series: list[Series]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    unit: str = ""
    #: What the horizontal axis counts; charts over the same share their crosshair.
    over: str = "epochs"
    x_ticks: list[Tick] = field(init=False)
    y_ticks: list[Tick] = field(init=False)

    def __post_init__(self) -> None:
        self.x_ticks = _axis(self.x_range, "")
        self.y_ticks = _axis(self.y_range, self.unit)

    def line(self, series: Series) -> str:
        """Return the SVG path data of a series; a gap where a value is not finite."""
        x, y = self._places(series)
        parts = []
        pen_down = False
        for i in range(len(x)):
            if not (math.isfinite(x[i]) and math.isfinite(y[i])):
                pen_down = False
                continue
            parts.append(f"{'L' if pen_down else 'M'}{x[i]:.1f} {y[i]:.1f}")
            pen_down = True
        return "".join(parts)

    def dots(self, series: Series) -> str:
        """Return path data of strokes of no length, drawn as round dots by their line caps.

        Circles would be squeezed to ellipses when the page stretches the chart.
        """
        x, y = self._places(series)
        finite = np.isfinite(x) & np.isfinite(y)
        if series.kind not in ("train", "validation"):
            # A single reading between gaps has no line to be seen by.
            before = np.r_[False, finite[:-1]]
            after = np.r_[finite[1:], False]
            finite &= ~before & ~after
        elif finite.sum() > MOST_DOTS:
            return ""
        return "".join(f"M{a:.1f} {b:.1f}h.01" for a, b in zip(x[finite], y[finite]))

    def data(self) -> dict:
        """Return what the read-out needs, ready for JSON: positions as fractions, or null."""

        def fractions(values: np.ndarray) -> list[float | None]:
            return [round(float(v) / SIZE, 4) if math.isfinite(v) else None for v in values]

        rows = []
        for series in self.series:
            x, y = self._places(series)
            rows.append(
                {
                    "name": series.name,
                    "kind": series.kind,
                    "x": fractions(x),
                    "y": fractions(y),
                    "text": series.texts,
                    "place": series.places,
                }
            )
        return {"id": self.id, "over": self.over, "series": rows}

    def summary(self) -> str:
        """Return the chart in words, for those who do not see it."""
        ends = []
        for series in self.series:
            seen = [text for text, y in zip(series.texts, series.y) if math.isfinite(y)]
            if seen:
                journey = f"from {seen[0]} to {seen[-1]}" if len(seen) > 1 else seen[0]
                ends.append(f"{series.name}: {journey}")
        return f"{self.title} over {self.over}. " + "; ".join(ends) + "."

    def _places(self, series: Series) -> tuple[np.ndarray, np.ndarray]:
        (left, right), (low, high) = self.x_range, self.y_range
        x = (np.asarray(series.x, float) - left) / (right - left) * SIZE
        y = (1 - (np.asarray(series.y, float) - low) / (high - low)) * SIZE
        # Far outside the frame is as good as just outside, and keeps the file small.
        return x, np.where(np.isfinite(y), np.clip(y, -SIZE, 2 * SIZE), np.nan)


def _axis(ends: tuple[float, float], unit: str) -> list[Tick]:
    values = ticks.nice_ticks(*ends)
    span = ends[1] - ends[0]
    return [
        Tick(min(1.0, max(0.0, (value - ends[0]) / span)), label)
        for value, label in zip(values, ticks.labels(values, unit))
    ]


def value_range(
    values: np.ndarray, most: float = math.inf, from_zero: bool = False
) -> tuple[float, float]:
    """Return the ends of a vertical axis for ``values`` (floats, any shape; NaN is ignored).

    Begins at zero where that costs at most a third of the height, and never magnifies changes of
    less than a tenth. A few values far above all others (a loss that explodes) are left out of
    the frame rather than flattening the rest.
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if values.size >= 5:
        high = min(high, max(low, 10 * float(np.percentile(values, 90))))
    if low >= 0 and (from_zero or low < high / 3):
        low = 0.0
    if high - low <= abs(high) / 10:
        middle, half = (low + high) / 2, abs(high) / 20 or 0.5
        low, high = middle - half, min(middle + half, most)
    around = ticks.nice_ticks(low, high, around=True)
    return around[0], min(around[-1], most)


def thin(x: np.ndarray, *ys: np.ndarray, most: int = MOST_POINTS) -> list[np.ndarray]:
    """Replace neighbouring points by their means until at most ``most`` are left.

    Returns the x and each y, floats [min(n, most)]. A NaN stays visible as a gap.
    """
    if len(x) <= most:
        return [np.asarray(a, float) for a in (x, *ys)]
    edges = np.linspace(0, len(x), most + 1).astype(int)
    sizes = np.diff(edges)
    return [np.add.reduceat(np.asarray(a, float), edges[:-1]) / sizes for a in (x, *ys)]


def smooth(y: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over a window of ``width`` neighbours centred at each value (odd, >= 1).

    Centred, so that the curve does not lag behind as a running mean does; near the ends the
    window shrinks on both sides alike. Values that are not finite stay as gaps and do not spread.
    """
    y = np.asarray(y, float)
    finite = np.isfinite(y)
    sums = np.r_[0.0, np.cumsum(np.where(finite, y, 0.0))]
    counts = np.r_[0, np.cumsum(finite)]
    i = np.arange(len(y))
    half = np.minimum(width // 2, np.minimum(i, len(y) - 1 - i))
    low, high = i - half, i + half + 1
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[high] - sums[low]) / (counts[high] - counts[low])
    return np.where(finite, means, np.nan)
