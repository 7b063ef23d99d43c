"""Learning-rate schedules as pure functions of the fraction of a training.

A schedule turns the fraction of the training that is done, 0 to 1, to a factor of the peak rate. It
does not depend on steps, epochs or time: one recipe works for 200 epochs and for ten minutes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Callable, Optional, Union

from ..config import ScheduleConfig

Schedule = Callable[[float], float]

#: A fraction is a quotient of counts: one rounding below a milestone counts as at it.
_ROUNDING = 1e-9


def constant(t: float) -> float:
    """Stay at the peak."""
    return 1.0


def linear(t: float) -> float:
    """Fall on a straight line from 1 to 0."""
    return 1.0 - t


def cosine(t: float) -> float:
    """Fall on half a cosine: SGDR without restarts (arXiv:1608.03983, equation (5))."""
    return 0.5 * (1.0 + math.cos(math.pi * t))


def polynomial(power: float) -> Schedule:
    """Return ``(1 - t) ** power`` (Liu et al. 2015, arXiv:1506.04579, section 3.4)."""
    return lambda t: (1.0 - t) ** power


def multistep(milestones: Sequence[float], gamma: float) -> Schedule:
    """Return the schedule that multiplies the rate by ``gamma`` at each milestone."""
    return lambda t: gamma ** bisect_right(milestones, t + _ROUNDING)


def step(every: float, gamma: float) -> Schedule:
    """Return the schedule with a factor ``gamma`` after each fraction ``every`` of the training."""
    return lambda t: gamma ** math.floor(t / every + _ROUNDING)


def make_schedule(
    config: ScheduleConfig, epochs: Union[int, Callable[[], int], None] = None
) -> Schedule:
    """Return a recipe's schedule, ``fraction of the training -> factor of the peak rate``.

    - ``constant``, ``step`` and ``multistep`` count the fraction over the whole training, warm-up
      included, as milestones in papers do;
    - ``linear``, ``cosine`` and ``polynomial`` fall from 1 at the end of the warm-up to ``final``
      at the end;
    - ``onecycle`` climbs on half a cosine during the warm-up, and falls on another one after it
      (Smith & Topin 2017, arXiv:1708.07120, in its usual form).

    Args:
        config: the section ``schedule`` of a recipe.
        epochs: number of equal parts of the training, at whose beginnings alone the rate changes
            if the schedule is ``by: epoch``; a function where the number is not known yet, as that
            of the rounds of a budget. A warm-up goes by step all the same: its first epoch would
            otherwise have a rate of 0.
    """
    shape = _SHAPES[config.name](config)
    falls = config.name in _FALLING
    begin = config.warmup_start_factor

    def schedule(fraction: float) -> float:
        t = min(max(fraction, 0.0), 1.0)
        if t < config.warmup:
            climbed = t / config.warmup
            if config.name == "onecycle":
                climbed = 1.0 - cosine(climbed)
            # Never exactly 0: a first step without effect would be wasted.
            return max(begin + (1.0 - begin) * climbed, 1e-3)
        if config.interval == "epoch" and epochs:
            parts = epochs() if callable(epochs) else epochs
            t = max(math.floor(t * parts + _ROUNDING) / parts, config.warmup)
        if not falls:
            return shape(t)
        return config.end_factor + (1.0 - config.end_factor) * shape(
            (t - config.warmup) / (1 - config.warmup)
        )

    return schedule


_FALLING = ("linear", "cosine", "polynomial", "onecycle")
_SHAPES: dict[str, Callable[[ScheduleConfig], Schedule]] = {
    "constant": lambda config: constant,
    "step": lambda config: step(config.step_size or 0.3, _or(config.gamma, 0.1)),
    "multistep": lambda config: multistep(config.milestones or (0.5, 0.75), _or(config.gamma, 0.1)),
    "linear": lambda config: linear,
    "cosine": lambda config: cosine,
    "onecycle": lambda config: cosine,
    "polynomial": lambda config: polynomial(_or(config.power, 2.0)),
}


def _or(value: Optional[float], default: float) -> float:
    return default if value is None else value
