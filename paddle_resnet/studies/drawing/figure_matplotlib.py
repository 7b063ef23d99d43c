"""Drawings by matplotlib, for notebooks and papers; pages do without it."""

from __future__ import annotations

import math

import numpy as np

from ...errors import UserError
from ...pages.heat_overlay import ramp
from .figure import Bars, FigureSpec, HeatPanel, ImagePanel, Line, Panel, Points
from .figure_page import log_labels, log_ticks
from .heat_colors import shares

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
except ModuleNotFoundError as error:  # pragma: no cover - VisualDL brings it
    raise UserError(
        "result.figure needs matplotlib: run `pip install 'paddle_resnet[studies]'`."
    ) from error

#: The colours of the page, light.
COLORS = {
    "plain": "#c2500f",
    "residual": "#1f66ab",
    "zero": "#17803f",
    "violet": "#7448b8",
    "rose": "#b0316f",
    "neutral": "#58626d",
}
_STRENGTH = (0.42, 0.68, 1.0)
_PANEL = (4.2, 3.1)  # inches


def draw(spec: FigureSpec) -> Figure:
    """Return the figure. It belongs to no window: ``figure.savefig(path)`` writes it."""
    columns = min(spec.columns, len(spec.panels)) or 1
    rows = max(1, math.ceil(len(spec.panels) / columns))
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
    for i, panel in enumerate(spec.panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        if isinstance(panel, Panel):
            _axes(axes, panel)
        elif isinstance(panel, HeatPanel):
            _heat(axes, panel)
        else:
            _images(axes, panel)
        axes.set_title(panel.title, fontsize=10)
    return figure


def _axes(axes: Axes, panel: Panel) -> None:
    for item in panel.items:
        _item(axes, item)
    for level in panel.levels:
        axes.axhline(level.y, color=COLORS["neutral"], linestyle=":", linewidth=1)
        axes.text(1, level.y, level.label, transform=axes.get_yaxis_transform(), fontsize=7,
                  ha="right", va="bottom", color=COLORS["neutral"])  # fmt: skip
    for axis, log in (("x", panel.x_log), ("y", panel.y_log)):
        if log:
            _logarithmic(axes, axis)
    if panel.x_range:
        axes.set_xlim(panel.x_range)
    if panel.y_range:
        axes.set_ylim(panel.y_range)
    if panel.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if panel.x_names is not None:
        many = len(panel.x_names) > 6
        axes.set_xticks(range(len(panel.x_names)), panel.x_names, fontsize=7,
                        rotation=45 if many else 0, ha="right" if many else "center")  # fmt: skip
    elif panel.counts and not panel.x_log:
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
    axes.set_xlabel(panel.x_label, fontsize=8)
    axes.set_ylabel(panel.y_label, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#ecede8")
    axes.set_axisbelow(True)
    if sum(bool(item.name) for item in panel.items) > 1:
        axes.legend(fontsize=7, frameon=False)


def _logarithmic(axes: Axes, axis: str) -> None:
    """Label an axis as pages do: matplotlib's own labels crowd axes of less than two decades."""
    axes.set(**{f"{axis}scale": "log"})
    values = log_ticks(*getattr(axes, f"get_{axis}lim")())
    getattr(axes, f"set_{axis}ticks")(values, log_labels(values))
    getattr(axes, f"{axis}axis").set_minor_locator(NullLocator())


def _item(axes: Axes, item: Line | Points | Bars) -> None:
    color, alpha = COLORS[item.tone], _STRENGTH[item.shade]
    label = item.name or None
    x, y = np.asarray(item.x, float), np.asarray(item.y, float)
    if isinstance(item, Line):
        axes.plot(
            x,
            y,
            color=color,
            alpha=alpha * (0.5 if item.thin else 1),
            linewidth=0.8 if item.thin else 1.8,
            linestyle="--" if item.dashed else "-",
            marker="" if item.thin or len(x) > 24 else "o",
            markersize=3.5,
            label=label,
        )
    elif isinstance(item, Bars):
        axes.bar(x, y, item.width, color=color, alpha=alpha, label=label)
    else:
        marker = "^" if item.marker == "triangle" else "o"
        axes.errorbar(x, y, item.error, fmt=marker, color=color, alpha=alpha, markersize=5,
                      elinewidth=1, label=label)  # fmt: skip


def _heat(axes: Axes, panel: HeatPanel) -> None:
    found = shares(panel)
    pixels = np.ones((*found.shape, 4))
    pixels[..., :3] = ramp(np.nan_to_num(found)) / 255.0
    pixels[..., 3] = np.isfinite(found)
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    for axis, names, label in (
        (axes.xaxis, panel.x_names, panel.x_label),
        (axes.yaxis, panel.y_names, panel.y_label),
    ):
        step = -(-len(names) // 12)
        axis.set_ticks(range(0, len(names), step), list(names)[::step], fontsize=7)
        axis.set_label_text(label, fontsize=8)


def _images(axes: Axes, panel: ImagePanel) -> None:
    axes.set_axis_off()
    rows, columns = len(panel.rows), len(panel.columns)
    for i, row in enumerate(panel.rows):
        for j, image in enumerate(row):
            axes.imshow(image, extent=(j + 0.04, j + 0.96, rows - i - 0.96, rows - i - 0.04))
    for j, name in enumerate(panel.columns):
        axes.text(j + 0.5, rows, name, ha="center", va="bottom", fontsize=7)
    for i, name in enumerate(panel.row_names):
        axes.text(0, rows - i - 0.5, name, ha="right", va="center", fontsize=7)
    axes.set_xlim(0, columns)
    axes.set_ylim(0, rows)
    axes.set_aspect("equal")
