"""Loss and metrics of the epoch under way, as means over its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddle import Tensor
from paddle.metric import Metric

from ...errors import DataError
from ...evaluation.meters import Mean
from ...evaluation.paddle_metrics import (
    all_reduce_metrics,
    metric_counts,
    metric_values,
    set_metric_counts,
)
from .state_values import count


class EpochMeans:
    """Counts the steps of an epoch, their loss and metrics, over all ranks.

    Args:
        metrics (list of paddle.metric.Metric): updated with every training batch.
    """

    def __init__(self, metrics: Sequence[Metric] = ()) -> None:
        self.metrics = list(metrics)
        #: Steps since the epoch began; 0 between epochs.
        self.steps = 0
        self.loss = Mean()

    def start_epoch(self) -> None:
        """Reset the metrics, unless an interrupted epoch is continued."""
        if not self.steps:
            for metric in self.metrics:
                metric.reset()

    def update_metrics(self, outputs: list[Tensor], labels: list[Tensor]) -> None:
        """Add a batch to the metrics; of several outputs, the first are the logits."""
        with all_reduce_metrics(self.metrics):
            for metric in self.metrics:
                computed = metric.compute(outputs[0], *labels)
                computed = computed if isinstance(computed, (list, tuple)) else [computed]
                metric.update(*[each.numpy() for each in computed])

    def count_step(self, loss: float, images: int) -> None:
        """Count a step and its mean loss over ``images``."""
        self.steps += 1
        self.loss.add(loss, images)

    def values(self) -> dict[str, Any]:
        """Return the means so far: ``loss``, and the metrics by their names."""
        loss = {"loss": self.loss.value} if self.loss.count else {}
        return {**loss, **metric_values(self.metrics)}

    def take(self) -> dict[str, Any]:
        """Return the means of the whole epoch, and end it.

        Raises:
            DataError: there was no step.
        """
        if not self.steps:
            raise DataError("the training data yielded no batch: is it larger than one batch?")
        values = self.values()
        self.reset()
        return values

    def reset(self) -> None:
        """Forget the epoch."""
        self.steps, self.loss = 0, Mean()

    def state_dict(self) -> dict[str, Any]:
        """Return the counts; those of the metrics only within an epoch."""
        return {
            "steps": self.steps,
            "loss": [self.loss.total, self.loss.count],
            "metrics": [metric_counts(metric) for metric in self.metrics] if self.steps else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            ValueError: it is of other metrics.
        """
        steps, (total, samples) = count(state, "steps"), state["loss"]
        if len(state["metrics"]) != (len(self.metrics) if steps else 0):
            raise ValueError("other metrics than now")
        self.steps = steps
        self.loss.total, self.loss.count = float(total), int(samples)
        for metric, counts in zip(self.metrics, state["metrics"]):
            set_metric_counts(metric, counts)
