"""Cross-entropy and accuracy of batches with or without mixup and cutmix."""

from __future__ import annotations

from typing import Optional

import paddle
from paddle import Tensor, nn


class MixupCrossEntropy(nn.Layer):
    """Mean cross-entropy; of mixed images against both labels, weighted by ``lam``.

    ``lam * CE(labels) + (1 - lam) * CE(labels_b)`` is the cross-entropy against the soft label,
    which is linear in the label.

    In eval mode it is the plain cross-entropy without smoothing: validation losses stay comparable
    between epochs, recipes and the test.

    Args:
        label_smoothing: probability that is spread evenly over all classes, in training mode.
            Default: 0.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.plain = nn.CrossEntropyLoss()
        self.smoothed = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.each = nn.CrossEntropyLoss(label_smoothing=label_smoothing, reduction="none")

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        labels_b: Optional[Tensor] = None,
        lam: Optional[Tensor] = None,
    ) -> Tensor:
        """Return the loss; ``labels_b`` and ``lam`` (float32 [B]) are those of a mixed batch."""
        if labels_b is None:
            return (self.smoothed if self.training else self.plain)(logits, labels)
        one = self.each(logits, labels).flatten().astype("float32")
        other = self.each(logits, labels_b).flatten().astype("float32")
        return (lam * one + (1 - lam) * other).mean()


class MixupAccuracy(paddle.metric.Accuracy):
    """Accuracy; of a mixed image against the label with the larger weight, of equal ones the first.

    The usual argmax of soft labels differs from it if both labels are the same, and is undefined
    for ties.
    """

    def compute(
        self,
        pred: Tensor,
        label: Tensor,
        labels_b: Optional[Tensor] = None,
        lam: Optional[Tensor] = None,
    ) -> Tensor:
        """Return what `update` takes; ``labels_b`` and ``lam`` are those of a mixed batch."""
        if labels_b is not None:
            label = paddle.where(lam >= 0.5, label, labels_b)
        return super().compute(pred, label)
