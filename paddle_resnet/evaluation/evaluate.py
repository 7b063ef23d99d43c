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
from ..distributed import collectives
from ..errors import TrainingError
from ..models.precision import Precision
from .tta import tta_views


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

    def sentence(self) -> str:
        """Return the figures as people read them; the top 5 only where it can be wrong."""
        top5 = f" (top-5 {self.top(5):.2%})" if self.probabilities.shape[1] > 5 else ""
        return f"accuracy {self.top(1):.2%}{top5}, loss {self.loss:.4f}"


def _logits(
    network: nn.Layer, images: np.ndarray, precision: Optional[Precision] = None
) -> paddle.Tensor:
    with (precision or Precision()).autocast():
        outputs = network(paddle.to_tensor(images))
    return main_output(outputs).astype("float32")


def mean_probabilities(
    network: nn.Layer, images: np.ndarray, kind: str, precision: Optional[Precision] = None
) -> np.ndarray:
    """Return the class probabilities of images, averaged over their views: float32 [B, classes].

    Call it in eval mode and without gradients.
    """
    answers, weights = [], []
    for weight, view in tta_views(images, kind):
        answers.append(F.softmax(_logits(network, view, precision), axis=-1).numpy())
        weights.append(weight)
    return np.average(answers, axis=0, weights=weights).astype(np.float32)


def evaluate(
    network: nn.Layer,
    loader: BatchLoader,
    progress: Optional[Callable[[int], None]] = None,
    precision: Optional[Precision] = None,
    kind: str = "none",
) -> Evaluation:
    """Run a network in eval mode over all batches of a loader.

    Args:
        network: maps images to logits; its mode is restored afterwards.
        loader: yields ``(images float32 [B, C, H, W], labels int64 [B])``. Where it is this
            process's share, the outcome is that of all shares together, in all processes.
        progress: called with the number of images done so far.
        precision: what to compute in. Default: float32.
        kind: the views of each image whose probabilities are averaged, see
            :func:`~paddle_resnet.evaluation.tta.tta_views`. Default: ``none``, the image alone.
    """
    was_training = network.training
    network.eval()
    began = time.perf_counter()
    all_labels, all_probabilities, total = [], [], 0.0
    with paddle.no_grad():
        for images, labels in loader:
            if kind == "none":
                logits = _logits(network, images, precision)
                target = paddle.to_tensor(labels)
                total += float(F.cross_entropy(logits, target, reduction="sum"))
                all_probabilities.append(F.softmax(logits, axis=-1).numpy())
            else:
                mean = mean_probabilities(network, images, kind, precision)
                likely = np.maximum(mean[np.arange(len(labels)), labels], 1e-30)
                total -= float(np.log(likely, dtype=np.float64).sum())
                all_probabilities.append(mean)
            all_labels.append(labels)
            if progress is not None:
                progress(sum(map(len, all_labels)))
    if was_training:
        network.train()
    labels, probabilities = np.concatenate(all_labels), np.concatenate(all_probabilities)
    if loader.parts > 1:
        labels, probabilities, total = _together(loader, labels, probabilities, total)
    return Evaluation(
        labels=labels,
        probabilities=probabilities,
        loss=total / len(labels),
        seconds=time.perf_counter() - began,
    )


def _together(
    loader: BatchLoader, labels: np.ndarray, probabilities: np.ndarray, total: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Put the shares of all processes together, each image at its place."""
    places = loader.places()
    table = np.zeros((len(loader.images), 2 + probabilities.shape[1]))
    table[places] = np.column_stack([np.ones(len(labels)), labels, probabilities])
    table = collectives.total(table)
    if not (table[:, 0] == 1).all():
        raise TrainingError("the processes have not evaluated each image exactly once.")
    (total,) = collectives.total([total]).tolist()
    return table[:, 1].astype(np.int64), table[:, 2:].astype(np.float32), total
