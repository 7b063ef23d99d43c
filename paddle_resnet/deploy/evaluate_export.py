"""Accuracy and loss of an exported file, in its runtime."""

from __future__ import annotations

import time
from typing import Callable, Optional

import numpy as np
from paddle import nn

from ..evaluation.eval_dataset import eval_loader
from ..evaluation.evaluate import Evaluation
from ..evaluation.meters import label_ranks
from ..models import TrainedModel
from .predictor import Predictor


def evaluate_export(
    predictor: Predictor,
    split: str = "test",
    batch_size: int = 250,
    root: Optional[str] = None,
    log: Callable[[str], None] = print,
) -> tuple[Evaluation, bool]:
    """Classify a split of the data set that the network knows.

    Args:
        predictor: the exported file.
        split: ``test`` or ``train``.
        batch_size: images at once. Default: 250.
        root: where the data are, see `eval_loader`.
        log: takes lines for people.

    Returns:
        tuple: the outcome, and whether the images are only the bundled sample.

    Raises:
        DataError: the data cannot be had, or are of other classes than the network knows.
    """
    facts = predictor.manifest
    # The loader needs the facts of a network, not the network.
    described = TrainedModel(
        network=nn.Identity(),
        model=facts.model,
        classes=list(facts.classes),
        mean=None,
        std=None,
        input_shape=list(facts.input_shape),
        path=predictor.path,
        centre=facts.centre,
        value_range=facts.value_range,
    )
    loader, is_sample = eval_loader(described, split, batch_size, root=root, notify=log)
    began = time.perf_counter()
    probabilities, ranks, total = [], [], 0.0
    for start in range(0, len(loader.labels), batch_size):
        rows = slice(start, start + batch_size)
        images = np.asarray(loader.images[rows])
        logits = predictor.logits(images, batch_size).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        sums = np.exp(logits).sum(axis=1)
        labels = loader.labels[rows]
        ranks.append(label_ranks(logits, labels))
        total += float((np.log(sums) - logits[np.arange(len(labels)), labels]).sum())
        probabilities.append((np.exp(logits) / sums[:, None]).astype(np.float32))
    rank, classes = np.concatenate(ranks), len(facts.classes)
    evaluation = Evaluation(
        labels=loader.labels,
        probabilities=np.concatenate(probabilities),
        loss=total / len(loader.labels),
        acc_top1=float((rank < 1).mean()),
        acc_top5=float((rank < min(5, classes)).mean()),
        seconds=time.perf_counter() - began,
    )
    return evaluation, is_sample
