"""How far an epoch is, and what its means are made of so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from paddle.metric import Metric

from ...distributed.collectives import total, world_size


class Mean:
    """A mean over samples of figures that are means over batches."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, value: float, count: int) -> None:
        """Take a batch's mean, and how many samples it is of."""
        self.total += value * count
        self.count += count

    @property
    def value(self) -> float:
        """The mean so far."""
        return self.total / self.count


class EpochMeans:
    """Steps done in the epoch under way, and its loss so far; empty between epochs."""

    def __init__(self) -> None:
        self.steps = 0
        self.loss = Mean()
        #: Whether the next ``fit`` goes on here, rather than begins.
        self.resumed = False

    def state(self, metrics: list[Metric]) -> dict[str, Any]:
        """Return the progress and, within an epoch, what the metrics have counted."""
        return {
            "steps": self.steps,
            "loss": [self.loss.total, self.loss.count],
            "metrics": [_figures(metric) for metric in metrics] if self.steps else [],
        }

    def load_state(self, state: dict[str, Any], metrics: list[Metric]) -> None:
        """Go on from :meth:`state`."""
        steps, (total, count) = int(state["steps"]), state["loss"]
        if steps < 0 or len(state["metrics"]) != (len(metrics) if steps else 0):
            raise ValueError("other metrics than now, or a negative number of steps")
        self.steps = steps
        self.loss.total, self.loss.count = float(total), int(count)
        self.resumed = True
        for metric, figures in zip(metrics, state["metrics"]):
            now = _figures(metric)
            if set(figures) != set(now) or not all(_alike(figures[key], now[key]) for key in now):
                raise ValueError(f"another metric than {metric.name()}")
            for name, value in figures.items():
                setattr(metric, name, value)


@contextmanager
def all_reduce_metrics(metrics: list[Metric]) -> Iterator[None]:
    """Let metrics have counted, after this block, what all processes have counted within it."""
    before = [_figures(metric) for metric in metrics] if world_size() > 1 else []
    yield
    for metric, old in zip(metrics, before):
        now = _figures(metric)
        for name in sorted(set(now) & set(old)):
            new = old[name] + total(np.subtract(now[name], old[name]))
            if isinstance(now[name], np.ndarray):
                setattr(metric, name, new.astype(now[name].dtype))
            elif isinstance(now[name], list):
                kinds = map(type, now[name])
                setattr(metric, name, [kind(value) for kind, value in zip(kinds, new.tolist())])
            else:
                setattr(metric, name, type(now[name])(new))


def _figures(metric: Metric) -> dict[str, Any]:
    """Return what a metric has counted: its numbers, lists of numbers, and arrays.

    Paddle's metrics have no way to tell; all of them keep their counts in such attributes.
    """
    figures: dict[str, Any] = {}
    for name, value in vars(metric).items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            figures[name] = value.copy()
        elif isinstance(value, list) and value and all(map(_is_number, value)):
            figures[name] = [_plain(each) for each in value]
        elif _is_number(value):
            figures[name] = _plain(value)
    return figures


def _alike(value: Any, now: Any) -> bool:
    """Whether a value can take another's place: both are numbers, or as many of them."""
    if isinstance(now, np.ndarray):
        return isinstance(value, np.ndarray) and (value.dtype, value.shape) == (
            now.dtype,
            now.shape,
        )
    if isinstance(now, list):
        return isinstance(value, list) and len(value) == len(now) and all(map(_is_number, value))
    return _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.number) else value
