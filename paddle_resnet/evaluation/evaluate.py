"""One pass over labelled images, for validation, test and the command `evaluate`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ..data import BatchLoader
from ..models.precision import Precision
from .meters import LossMeter, Meter, ProbabilityMeter, TopKMeter
from .tta import tta_views

#: What a probability counts as at least where its logarithm is taken.
_LEAST = 1e-30


def main_output(outputs: Any) -> Tensor:
    """Return a classifier's logits: of several outputs, the first."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def evaluate(
    network: nn.Layer,
    batches: Iterable[Sequence[Any]],
    meters: Sequence[Meter],
    *,
    precision: Optional[Precision] = None,
    tta: str = "none",
    on_batch: Optional[Callable[[int], None]] = None,
    forward: Optional[Callable[[Any], tuple[list, list]]] = None,
) -> None:
    """Feed a network's logits for all batches to meters, in eval mode and without gradients.

    Args:
        network: returns logits, or several outputs of which the first are the logits; its mode is
            restored afterwards.
        batches: ``(images float32 [B, C, H, W], labels int64 [B])``, of this rank.
        meters: get the outputs and labels of each batch, and are merged over all ranks at the end.
        precision: what to compute in. Default: float32.
        tta: views of each image whose probabilities are averaged, see
            :func:`~paddle_resnet.evaluation.tta.tta_views`; their logarithms, float64, are then the
            logits. Default: ``none``, the image alone.
        on_batch: called after each batch with the number of batches so far.
        forward: turns a batch into the lists of outputs and labels that meters get. Default: a
            call of the network.
    """
    precision = precision or Precision()
    was_training = network.training
    network.eval()
    try:
        with paddle.no_grad():
            for index, batch in enumerate(batches):
                with precision.autocast():
                    if forward is None:
                        images, *labels = batch
                        outputs = _outputs(network, images, tta, precision)
                        labels = [paddle.to_tensor(each) for each in labels]
                    else:
                        outputs, labels = forward(batch)
                    for meter in meters:
                        meter.update(outputs, labels)
                if on_batch is not None:
                    on_batch(index + 1)
    finally:
        if was_training:
            network.train()
    for meter in meters:
        meter.all_reduce()


def _outputs(network: nn.Layer, images: Any, tta: str, precision: Precision) -> list[Tensor]:
    if tta == "none":
        outputs = network(paddle.to_tensor(to_layout(network, images)))
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    mean = mean_probabilities(network, images, tta, precision).astype(np.float64)
    return [paddle.to_tensor(np.log(np.maximum(mean, _LEAST)))]


def mean_probabilities(
    network: nn.Layer, images: np.ndarray, tta: str, precision: Optional[Precision] = None
) -> np.ndarray:
    """Return the class probabilities of images, averaged over their views: float32 [B, classes].

    Call it in eval mode and without gradients, with float32 [B, C, H, W].
    """
    answers, weights = [], []
    for weight, view in tta_views(images, tta):
        with (precision or Precision()).autocast():
            x = paddle.to_tensor(to_layout(network, view))
            logits = main_output(network(x)).astype("float32")
        answers.append(F.softmax(logits, axis=-1).numpy())
        weights.append(weight)
    return np.average(answers, axis=0, weights=weights).astype(np.float32)


def to_layout(network: nn.Layer, images: np.ndarray) -> np.ndarray:
    """Return images [B, C, H, W] as the network takes them: [B, H, W, C] if that is NHWC."""
    if getattr(network, "data_format", "NCHW") == "NHWC":
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return images


@dataclass
class Evaluation:
    """The outcome of :func:`evaluate_loader`."""

    #: int64 [N].
    labels: np.ndarray
    #: float32 [N, classes], rows sum to 1.
    probabilities: np.ndarray
    #: Mean cross-entropy (natural logarithm) over the samples; may be NaN or infinite.
    loss: float
    #: Accuracies, 0 to 1.
    acc_top1: float
    acc_top5: float
    seconds: float

    def mistakes(self, most: int) -> np.ndarray:
        """Return the indices of the most confident wrong answers, worst first: int64 [<= most]."""
        wrong = np.flatnonzero(self.probabilities.argmax(1) != self.labels)
        confidence = self.probabilities[wrong].max(1)
        return wrong[np.argsort(-confidence, kind="stable")][:most].astype(np.int64)

    def summary(self) -> dict[str, Any]:
        """Return the metrics for result.json; a loss that is not finite is None."""
        return {
            "images": len(self.labels),
            "loss": self.loss if math.isfinite(self.loss) else None,
            "acc_top1": self.acc_top1,
            "acc_top5": self.acc_top5,
            "images_per_second": len(self.labels) / max(self.seconds, 1e-9),
        }

    def sentence(self) -> str:
        """Return the metrics as people read them; the top 5 only of more than five classes."""
        top5 = f" (top-5 {self.acc_top5:.2%})" if self.probabilities.shape[1] > 5 else ""
        return f"accuracy {self.acc_top1:.2%}{top5}, loss {self.loss:.4f}"


def evaluate_loader(
    network: nn.Layer,
    loader: BatchLoader,
    *,
    precision: Optional[Precision] = None,
    tta: str = "none",
) -> Evaluation:
    """Return loss, accuracies and all probabilities of a network on a loader's images.

    Args:
        network, precision, tta: as in :func:`evaluate`.
        loader: yields ``(images float32 [B, C, H, W], labels int64 [B])``. If it is this rank's
            shard, the outcome is that of all shards together, on all ranks.
    """
    began = time.perf_counter()
    loss, top = LossMeter(), TopKMeter((1, 5))
    answers = ProbabilityMeter(loader, normalized=tta != "none")
    evaluate(network, loader, [loss, top, answers], precision=precision, tta=tta)
    return Evaluation(
        labels=answers.labels,
        probabilities=answers.probabilities,
        loss=loss.value,
        acc_top1=top.accuracy(1),
        acc_top5=top.accuracy(5),
        seconds=time.perf_counter() - began,
    )
