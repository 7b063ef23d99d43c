"""Loss and accuracy for batches that may be mixed: mixup and cutmix, and all others."""

from __future__ import annotations

from typing import Optional

import paddle
from paddle import Tensor, nn


class MixupCrossEntropy(nn.Layer):
    """Cross-entropy, mean over the samples; of mixed images against both labels by their shares.

    ``share * CE(label) + (1 - share) * CE(other)`` is the cross-entropy against the soft label, for
    that is linear in the label.

    In eval mode it is the plain cross-entropy: what a validation loss is compared with, that of
    other epochs, recipes and the test, knows no smoothing.

    Args:
        label_smoothing: share of the answer that is spread evenly over all classes, in training
            mode. Default: 0.
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
        others: Optional[Tensor] = None,
        share: Optional[Tensor] = None,
    ) -> Tensor:
        """Return the loss; ``others`` and ``share`` (float32 [B]) are those of a mixed batch."""
        if others is None:
            return (self.smoothed if self.training else self.plain)(logits, labels)
        one = self.each(logits, labels).flatten().astype("float32")
        other = self.each(logits, others).flatten().astype("float32")
        return (share * one + (1 - share) * other).mean()


class MixupAccuracy(paddle.metric.Accuracy):
    """Accuracy; of a mixed image against the label that has the larger share in it.

    An argmax of soft labels, as it is often done, agrees with it only where the labels differ from
    each other and says nothing about ties; here the first label wins a tie.
    """

    def compute(
        self,
        pred: Tensor,
        label: Tensor,
        others: Optional[Tensor] = None,
        share: Optional[Tensor] = None,
    ) -> Tensor:
        """Return what `update` takes; ``others`` and ``share`` are those of a mixed batch."""
        if others is not None:
            label = paddle.where(share >= 0.5, label, others)
        return super().compute(pred, label)
