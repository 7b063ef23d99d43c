"""One forward and one backward pass, and the size of every activation and gradient on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import paddle
from paddle.nn import functional as F

from ...models import Network
from .block_walk import activations, blocks, head, layers_of
from .cifar_subset import Subset


@dataclass(frozen=True)
class SignalProfile:
    """Sizes at the stem's output and at every block's output, in order (n blocks: n + 1 values).

    Norms are computed in float64: without BN they span more powers of ten than float32 squares.
    """

    #: Standard deviation and mean over all entries of the activation.
    std: list[float]
    mean: list[float]
    #: Mean over images of ||dL/dh||, L being the sum of the images' cross-entropies.
    gradient: list[float]
    #: ||dL/dW|| of each block's first convolution, L being the mean cross-entropy: n values.
    weight_gradient: list[float]
    #: Mean over pairs of different images of the cosine between their activations.
    cosine: list[float]
    loss: float

    @property
    def ratio(self) -> float:
        """Gradient at the stem's output over gradient at the last block's output."""
        return self.gradient[0] / self.gradient[-1]


def signal_profile(network: Network, subset: Subset) -> SignalProfile:
    """Return the profile of a network in its present mode (train mode for BN of the batch)."""
    images, labels = paddle.to_tensor(subset.images), paddle.to_tensor(subset.labels)
    found = activations(network, images)
    loss = F.cross_entropy(head(network, found[-1]), labels)
    firsts = [layers_of(block)[0].conv.weight for _, block in blocks(network)]
    gradients = paddle.grad(loss, [*found, *firsts])
    rows = [_flat(h) for h in found]
    return SignalProfile(
        std=[float(h.std()) for h in rows],
        mean=[float(h.mean()) for h in rows],
        gradient=[
            float(np.linalg.norm(_flat(g), axis=1).mean() * len(images))
            for g in gradients[: len(found)]
        ],
        weight_gradient=[float(np.linalg.norm(_flat(g))) for g in gradients[len(found) :]],
        cosine=[mean_cosine(h) for h in rows],
        loss=float(loss),
    )


def mean_cosine(rows: np.ndarray) -> float:
    """Return the mean cosine between different rows of float [n, d]; NaN if a row is zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        directions = rows / norms
    n = len(rows)
    return float((np.square(directions.sum(axis=0)).sum() - n) / (n * (n - 1)))


def _flat(tensor: paddle.Tensor) -> np.ndarray:
    array = tensor.numpy().astype(np.float64)
    return array.reshape(len(array), -1)


def growth_per_block(values: list[float], blocks_per_stage: int) -> list[float]:
    """Return the geometric mean factor per block towards the input, inside each of three stages.

    Stages are not mixed: size and fan-out change between them.

    Args:
        values: of the stem's output and of every block's output, such as gradients.
        blocks_per_stage: n; 3n + 1 values.
    """
    n, found = blocks_per_stage, []
    for stage in range(3):
        first, last = stage * n + 1, (stage + 1) * n
        if last > first and values[last] > 0 and values[first] > 0:
            found.append(float((values[first] / values[last]) ** (1 / (last - first))))
        else:
            found.append(float("nan"))
    return found
