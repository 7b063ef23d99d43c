"""A figure as data: panels of lines, points, bars, heat maps and images.

The page draws it as SVG and notebooks draw it by matplotlib, so that pages need no matplotlib and
both show the same numbers. Labels are in English and mathematics.

Tones are the colours of the whole room: ``plain`` (warm), ``residual`` (cold), ``zero`` (residual
with zero-initialized gamma, green), ``violet`` and ``rose`` for further series, ``neutral``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

TONES = ("plain", "residual", "zero", "violet", "rose", "neutral")


@dataclass(frozen=True)
class Line:
    """A line through points; values that are not finite are gaps.

    Args:
        name: in the legend; empty for a line without an entry, such as one of several seeds.
        x, y: floats [n].
        tone: one of :data:`TONES`.
        shade: 0 (pale) to 2 (full): depth 20, 56, 110. Default: 2.
        thin: a single seed behind the mean. Default: False.
        dashed: networks without BN, references. Default: False.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: str
    shade: int = 2
    thin: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Points:
    """Points that no line joins. ``error``: half the length of an error bar of each point."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: str
    shade: int = 2
    #: ``dot``, or ``triangle`` (blocks that change the shape).
    marker: str = "dot"
    error: Optional[Sequence[float]] = None


@dataclass(frozen=True)
class Bars:
    """Upright bars. ``x`` are their middles, ``width`` is in units of the axis."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: str
    shade: int = 2
    width: float = 0.8


@dataclass(frozen=True)
class Level:
    """A dashed line across the panel, such as chance."""

    y: float
    label: str


Item = Union[Line, Points, Bars]


@dataclass(frozen=True)
class Panel:
    """Axes with what is drawn in them.

    Args:
        title: above the axes.
        x_label, y_label: of the axes.
        items: lines, points, bars.
        levels: lines across.
        x_log, y_log: logarithmic axes; values that are not positive are gaps. Default: False.
        x_range, y_range: ends of an axis. Default: by the values.
        x_names: labels of x = 0, 1, 2, ... in place of numbers.
        percent: y is a fraction, written in per cent. Default: False.
        note: below the axes.
    """

    title: str
    x_label: str
    y_label: str
    items: Sequence[Item]
    levels: Sequence[Level] = ()
    x_log: bool = False
    y_log: bool = False
    x_range: Optional[tuple[float, float]] = None
    y_range: Optional[tuple[float, float]] = None
    x_names: Optional[Sequence[str]] = None
    percent: bool = False
    note: str = ""

    @property
    def counts(self) -> bool:
        """Whether x counts something, such as epochs or blocks: all its values are whole."""
        return all(float(x).is_integer() for item in self.items for x in item.x)


@dataclass(frozen=True)
class HeatPanel:
    """A matrix of colours, row 0 at the top.

    Args:
        values: float [rows, columns]; NaN stays empty.
        low, high: values at the ends of the colour scale.
        x_names, y_names: labels of columns and rows, as many as fit are written.
        log: colours by the logarithm. Default: False.
        levels: number of steps of the colour scale; 0 for a smooth one. Default: 0.
    """

    title: str
    x_label: str
    y_label: str
    values: np.ndarray
    low: float
    high: float
    x_names: Sequence[str]
    y_names: Sequence[str]
    log: bool = False
    levels: int = 0
    note: str = ""


@dataclass(frozen=True)
class ImagePanel:
    """Images in rows and columns: uint8 ``[H, W, 3]`` each, with a heading for every column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[np.ndarray]]
    row_names: Sequence[str]
    note: str = ""


@dataclass(frozen=True)
class FigureSpec:
    """Panels in reading order.

    Args:
        panels: the panels.
        columns: of them side by side on a wide screen. Default: 2.
        note: below them.
        cover: index of the panel that stands for the study in the gallery. Default: 0.
    """

    panels: Sequence[Union[Panel, HeatPanel, ImagePanel]]
    columns: int = 2
    note: str = ""
    cover: int = 0


def seed_lines(
    name: str, x: Sequence[float], ys: Sequence[Sequence[float]], tone: str, **style: object
) -> list[Line]:
    """Return the mean over seeds as a thick line and, of several seeds, each as a thin one."""
    mean = np.mean(np.asarray(ys, float), axis=0)
    lines = [Line(name, x, mean, tone, **style)]  # type: ignore[arg-type]
    if len(ys) > 1:
        lines += [Line("", x, y, tone, thin=True, **style) for y in ys]  # type: ignore[arg-type]
    return lines
