"""Paddle's metrics: what they counted, over all ranks, and in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from paddle.metric import Metric

from ..distributed.collectives import all_reduce_array, world_size


@contextmanager
def all_reduce_metrics(metrics: Sequence[Metric]) -> Iterator[None]:
    """Add up what the ranks count within this block: afterwards each metric has all of it."""
    before = [metric_counts(metric) for metric in metrics] if world_size() > 1 else []
    yield
    for metric, old in zip(metrics, before):
        now = metric_counts(metric)
        for name in sorted(set(now) & set(old)):
            new = old[name] + all_reduce_array(np.subtract(now[name], old[name]))
            if isinstance(now[name], np.ndarray):
                setattr(metric, name, new.astype(now[name].dtype))
            elif isinstance(now[name], list):
                kinds = map(type, now[name])
                setattr(metric, name, [kind(value) for kind, value in zip(kinds, new.tolist())])
            else:
                setattr(metric, name, type(now[name])(new))


def metric_values(metrics: Sequence[Metric]) -> dict[str, Any]:
    """Return the values of metrics by their names; one metric may have several."""
    values: dict[str, Any] = {}
    for metric in metrics:
        values.update(zip(_as_list(metric.name()), _as_list(metric.accumulate())))
    return values


def metric_counts(metric: Metric) -> dict[str, Any]:
    """Return what a metric has counted: its numbers, lists of numbers, and arrays, by attribute.

    Paddle's metrics have no method for it; all of them keep their counts in such attributes.
    """
    counts: dict[str, Any] = {}
    for name, value in vars(metric).items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            counts[name] = value.copy()
        elif isinstance(value, list) and value and all(map(_is_number, value)):
            counts[name] = [_plain(each) for each in value]
        elif _is_number(value):
            counts[name] = _plain(value)
    return counts


def set_metric_counts(metric: Metric, counts: dict[str, Any]) -> None:
    """Restore :func:`metric_counts`.

    Raises:
        ValueError: they are another metric's.
    """
    now = metric_counts(metric)
    if set(counts) != set(now) or not all(_alike(counts[name], now[name]) for name in now):
        raise ValueError(f"another metric than {metric.name()}")
    for name, value in counts.items():
        setattr(metric, name, value)


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


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]
