"""Round numbers for the axes of a chart."""

from __future__ import annotations

import math

from .. import formatting


def nice_ticks(low: float, high: float, most: int = 7, around: bool = False) -> list[float]:
    """Return up to ``most`` (at least 3) multiples of 1, 2 or 5 times a power of ten.

    They lie within [low, high], or ``around`` it, so that an axis from the first to the last tick
    holds all of it. Works alike for 0.1 epochs and for 200.

    Raises:
        ValueError: ``low`` is not less than ``high``, or one of them is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"no axis from {low} to {high}.")
    down, up = (math.floor, math.ceil) if around else (math.ceil, math.floor)
    # The tolerance keeps an end that is a multiple but for rounding (0.3 / 0.1).
    slack = 1e-9 if around else -1e-9
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * power
        first, last = down(low / step + slack), up(high / step - slack)
        if last - first + 1 <= most:
            break
    return [k * step for k in range(first, last + 1)]


def labels(ticks: list[float], unit: str = "") -> list[str]:
    """Write ticks with as many decimals as their distance needs, and no more.

    ``unit`` is ``%`` (fractions are written as percentages) or nothing.
    """
    scale = 100.0 if unit == "%" else 1.0
    step = (ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or 1.0) * scale
    if step < 0.99e-3 or step >= 1e6:
        return [formatting.decimal(tick * scale, 3) for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    end = f"{formatting.SPACE}%" if unit == "%" else ""
    # Adding 0.0 turns -0.0 into 0.0.
    return [f"{round(tick * scale, decimals) + 0.0:,.{decimals}f}{end}" for tick in ticks]
