"""Metrics of a network with one output, whose sign or size says which of two classes it is.

Paddle's ``Accuracy`` takes the largest of several outputs. The largest of one is always the first,
so it counts the images of class 0, whatever the network answers; its ``Precision`` and ``Recall``
take probabilities, and ``BCEWithLogitsLoss`` trains logits.
"""

from __future__ import annotations

from typing import Any

import paddle
from paddle import nn
from paddle.metric import Accuracy, Auc, Metric, Precision, Recall

from ...errors import TrainingError

_KNOWN = (Accuracy, Precision, Recall, Auc)


def as_metric_takes_it(metric: Metric, loss: Any, output: Any, labels: list) -> tuple[Any, list]:
    """Return a network's output and the labels in the form that a metric of Paddle expects.

    Several outputs, and metrics that are not Paddle's, get what they always got.

    Args:
        metric: one of ``prepare``.
        loss: says whether the outputs are logits (BCEWithLogitsLoss) or probabilities (BCELoss).
        output: Tensor [N, K].
        labels: the batch's labels; the first are class numbers or, of K outputs, K values each.

    Raises:
        TrainingError: the metric has no meaning for what the network answers.
    """
    if not isinstance(metric, _KNOWN) or not labels or getattr(output, "ndim", 0) != 2:
        return output, labels
    binary = isinstance(loss, (nn.BCELoss, nn.BCEWithLogitsLoss))
    name = type(metric).__name__
    if output.shape[1] > 1:
        if binary and isinstance(metric, Accuracy) and _several_labels(labels[0]):
            raise TrainingError(
                f"{name} takes one class an image, and here an image has several or none: use a "
                "metric for several labels."
            )
        return output, labels
    if isinstance(metric, (Precision, Recall)) and not isinstance(loss, nn.BCEWithLogitsLoss):
        return output, labels  # probabilities, as they ask for
    if not binary:
        raise TrainingError(
            f"{name} of a network with one output needs to know what it means: train it with "
            "BCEWithLogitsLoss (logits) or BCELoss (probabilities), or give the network two "
            "outputs and CrossEntropyLoss."
        )
    share = nn.functional.sigmoid(output) if isinstance(loss, nn.BCEWithLogitsLoss) else output
    share = share.astype("float32")
    label = (labels[0].reshape([-1, 1]).astype("float32") > 0.5).astype("int64")
    if isinstance(metric, (Precision, Recall)):
        return share, [label, *labels[1:]]
    return paddle.concat([1 - share, share], axis=1), [label, *labels[1:]]


def _several_labels(label: paddle.Tensor) -> bool:
    """Whether some image has more than one label, or none: 0 and 1 in each column."""
    if label.ndim != 2 or label.shape[1] == 1:
        return False
    label = label.astype("float32")
    ones = (label > 0.5).astype("float32").sum(axis=1)
    none = label.sum(axis=1) < 0.5
    return bool(((ones > 1) | none).any())
