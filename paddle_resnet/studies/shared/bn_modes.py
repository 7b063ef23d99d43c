"""Which statistics BN uses in a study: the batch's, the running ones, or settled ones.

A fresh network in eval mode has mean 0 and variance 1 everywhere, with which no activation was
ever normalized. *Settled* statistics are those of one batch, taken as running statistics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import paddle
from paddle import nn


@contextlib.contextmanager
def batch_statistics(network: nn.Layer) -> Iterator[None]:
    """Run a network in train mode in the block, and leave its running statistics as they are."""
    with _momentum(network, 1.0), _mode(network, training=True):
        yield


def settle(network: nn.Layer, images: np.ndarray) -> None:
    """Take the statistics of ``images`` float32 [N, C, H, W] as running ones; then eval mode."""
    with _momentum(network, 0.0), paddle.no_grad():
        network.train()
        network(paddle.to_tensor(images))
    network.eval()


@contextlib.contextmanager
def _momentum(network: nn.Layer, momentum: float) -> Iterator[None]:
    """Set the momentum of running statistics: 1 keeps the old ones, 0 takes the batch's."""
    norms = [layer for layer in network.sublayers(include_self=True) if hasattr(layer, "_momentum")]
    before = [layer._momentum for layer in norms]
    try:
        for layer in norms:
            layer._momentum = momentum
        yield
    finally:
        for layer, value in zip(norms, before):
            layer._momentum = value


@contextlib.contextmanager
def _mode(network: nn.Layer, training: bool) -> Iterator[None]:
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    try:
        network.train() if training else network.eval()
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
