"""One pass over labelled images: what a network says, and how right it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from ..data import BatchLoader
from .precision import Precision


def main_output(outputs: Any) -> paddle.Tensor:
    """Return a classifier's answer: of several outputs, the first."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


@dataclass
class Evaluation:
    """The outcome of :func:`evaluate`."""

    #: int64 [N].
    labels: np.ndarray
    #: float32 [N, classes], rows sum to 1.
    probabilities: np.ndarray
    #: Mean cross-entropy (natural logarithm) over the samples.
    loss: float
    seconds: float

    def top(self, k: int) -> float:
        """Return the share of samples whose label is among the k most probable classes."""
        k = min(k, self.probabilities.shape[1])
        best = np.argpartition(-self.probabilities, k - 1, axis=1)[:, :k]
        return float((best == self.labels[:, None]).any(axis=1).mean())

    def mistakes(self, most: int) -> np.ndarray:
        """Return the indices of the most confident wrong answers, worst first: int64 [<= most]."""
        wrong = np.flatnonzero(self.probabilities.argmax(1) != self.labels)
        confidence = self.probabilities[wrong].max(1)
        return wrong[np.argsort(-confidence, kind="stable")][:most].astype(np.int64)

    def summary(self) -> dict[str, Any]:
        """Return the figures for result.json."""
        return {
            "images": len(self.labels),
            "loss": self.loss,
            "acc_top1": self.top(1),
            "acc_top5": self.top(5),
            "images_per_second": len(self.labels) / max(self.seconds, 1e-9),
        }


def evaluate(
    network: nn.Layer,
    loader: BatchLoader,
    progress: Optional[Callable[[int], None]] = None,
    precision: Optional[Precision] = None,
) -> Evaluation:
    """Run a network in eval mode over all batches of a loader.

    Args:
        network: maps images to logits; its mode is restored afterwards.
        loader: yields ``(images float32 [B, C, H, W], labels int64 [B])``.
        progress: called with the number of images done so far.
        precision: what to compute in. Default: float32.
    """
    was_training = network.training
    network.eval()
    began = time.perf_counter()
    all_labels, all_probabilities, total = [], [], 0.0
    with paddle.no_grad():
        for images, labels in loader:
            with (precision or Precision()).autocast():
                outputs = network(paddle.to_tensor(images))
            logits = main_output(outputs).astype("float32")
            target = paddle.to_tensor(labels)
            total += float(F.cross_entropy(logits, target, reduction="sum"))
            all_probabilities.append(F.softmax(logits, axis=-1).numpy())
            all_labels.append(labels)
            if progress is not None:
                progress(sum(map(len, all_labels)))
    if was_training:
        network.train()
    labels = np.concatenate(all_labels)
    return Evaluation(
        labels=labels,
        probabilities=np.concatenate(all_probabilities),
        loss=total / len(labels),
        seconds=time.perf_counter() - began,
    )
