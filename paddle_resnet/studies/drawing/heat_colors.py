"""Colours of heat panels: smooth or in steps, by the value or its logarithm."""

from __future__ import annotations

import numpy as np

from ... import formatting
from ...pages.heat_overlay import ramp
from .figure import HeatPanel


def shares(panel: HeatPanel) -> np.ndarray:
    """Return the values of a panel as fractions of its colour scale; NaN stays NaN."""
    values, low, high = panel.values.astype(float), panel.low, panel.high
    if panel.log:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.log(values)
        low, high = np.log(low), np.log(high)
    found = np.clip((values - low) / (high - low), 0, 1)
    if panel.levels:
        found = np.minimum(np.floor(found * panel.levels), panel.levels - 1) / (panel.levels - 1)
    return found


def colorize(panel: HeatPanel) -> np.ndarray:
    """Return the panel as uint8 [rows, columns, 4]; NaN is transparent."""
    found = shares(panel)
    known = np.isfinite(found)
    pixels = np.zeros((*found.shape, 4), np.uint8)
    pixels[..., :3] = ramp(np.where(known, found, 0.0))
    pixels[..., 3] = np.where(known, 255, 0)
    return pixels


def scale_ticks(panel: HeatPanel, count: int = 5) -> list[tuple[str, str]]:
    """Return (colour, label) of some steps of the colour scale, low to high."""
    places = np.linspace(0, 1, count)
    if panel.log:
        values = np.exp(np.log(panel.low) + places * (np.log(panel.high) - np.log(panel.low)))
    else:
        values = panel.low + places * (panel.high - panel.low)
    colors = ["#" + "".join(f"{c:02x}" for c in color) for color in ramp(places)]
    return [(color, formatting.decimal(float(v), 2)) for color, v in zip(colors, values)]
