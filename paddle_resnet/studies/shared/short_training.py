"""Trainings of a minute or less: Momentum, warm-up and cosine, no augmentation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Callable, Optional

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from .cifar_subset import Subset

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
WARMUP = 0.1


def learning_rate(peak: float, step: int, steps: int) -> float:
    """Return the rate of a step: linear warm-up over a tenth, then half a cosine to zero."""
    warmup = max(1, int(WARMUP * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def batches(subset: Subset, batch_size: int, order: np.random.RandomState) -> Iterator[Subset]:
    """Yield one epoch in a new order; a last incomplete batch is left out."""
    permutation = order.permutation(len(subset.labels))
    for start in range(0, len(permutation) - batch_size + 1, batch_size):
        chosen = permutation[start : start + batch_size]
        yield Subset(subset.images[chosen], subset.labels[chosen])


def train(
    network: nn.Layer,
    subset: Subset,
    *,
    epochs: int,
    seed: int,
    batch_size: int = 64,
    peak: float = 0.1,
    on_epoch: Optional[Callable[[int], None]] = None,
) -> list[float]:
    """Train a network in float32 and return each epoch's mean loss over its batches.

    Args:
        network: is left in train mode.
        subset: the training images.
        epochs: passes over them.
        seed: the order of images is ``RandomState(seed + 1000)``'s.
        batch_size: at most the number of images.
        peak: learning rate after the warm-up.
        on_epoch: called with the number of every epoch before it begins.
    """
    batch_size = min(batch_size, len(subset.labels))
    steps = epochs * (len(subset.labels) // batch_size)
    order = np.random.RandomState(seed + 1000)
    optimizer = paddle.optimizer.Momentum(
        peak, MOMENTUM, parameters=network.parameters(), weight_decay=WEIGHT_DECAY
    )
    network.train()
    losses, step = [], 0
    for epoch in range(epochs):
        if on_epoch is not None:
            on_epoch(epoch)
        of_epoch = []
        for batch in batches(subset, batch_size, order):
            optimizer.set_lr(learning_rate(peak, step, steps))
            images, labels = paddle.to_tensor(batch.images), paddle.to_tensor(batch.labels)
            loss = F.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            of_epoch.append(float(loss))
            step += 1
        losses.append(float(np.mean(of_epoch)))
    return losses


def loss_and_accuracy(network: nn.Layer, subset: Subset, batch: int = 500) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy in eval mode; the network stays in it."""
    network.eval()
    losses, right = 0.0, 0
    with paddle.no_grad():
        for start in range(0, len(subset.labels), batch):
            labels = subset.labels[start : start + batch]
            logits = network(paddle.to_tensor(subset.images[start : start + batch]))
            losses += float(F.cross_entropy(logits, paddle.to_tensor(labels), reduction="sum"))
            right += int((logits.numpy().argmax(axis=1) == labels).sum())
    return losses / len(subset.labels), right / len(subset.labels)
