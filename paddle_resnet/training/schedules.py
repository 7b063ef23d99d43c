"""Learning-rate schedules as pure functions of progress.

A schedule maps the share of the training that is done, 0 to 1, to a share of the peak rate. It
knows nothing of steps, epochs or time, so one recipe serves for 200 epochs and for ten minutes.
"""

from __future__ import annotations

import math
from typing import Callable

Schedule = Callable[[float], float]

_SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1.0 - t,
    # SGDR without restarts: Loshchilov & Hutter 2016, arXiv:1608.03983, equation (5).
    "cosine": lambda t: 0.5 * (1.0 + math.cos(math.pi * t)),
}


def make_schedule(name: str, warmup: float = 0.0, final: float = 0.0) -> Schedule:
    """Return the schedule ``progress -> share of the peak rate``.

    Args:
        name: ``constant``, ``cosine`` or ``linear``: the shape after the warm-up.
        warmup: share of the training in which the rate climbs linearly from near 0 to the peak
            (Goyal et al. 2017, arXiv:1706.02677, section 2.2). Default: 0.
        final: where the shape ends, as a share of the peak. Default: 0.
    """
    shape = _SHAPES[name]

    def schedule(progress: float) -> float:
        progress = min(max(progress, 0.0), 1.0)
        if progress < warmup:
            # Never exactly 0: a first step without effect would be wasted.
            return max(progress / warmup, 1e-3)
        t = (progress - warmup) / (1.0 - warmup)
        return final + (1.0 - final) * shape(t) if name != "constant" else 1.0

    return schedule
