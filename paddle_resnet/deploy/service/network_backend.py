"""A network of ours as the backend of a service, with heat maps."""

from __future__ import annotations

from typing import Callable

import numpy as np
import paddle
from paddle.nn import functional as F

from ...evaluation.class_activation import heatmap
from ...models import Network
from ...models.precision import run_precision
from ..source import Source
from .backend import Backend


def network_backend(source: Source, log: Callable[[str], None]) -> Backend:
    """Return a backend that computes in Paddle, in the precision of the network's run.

    Heat maps are Grad-CAM's, in float32; a network that is not of this package has none.

    Args:
        source: the network.
        log: takes a line where the precision does not come as the run had it.
    """
    network, manifest = source.trained.network, source.manifest("float32")
    precision = run_precision(source.config, log)

    def probabilities(images: np.ndarray) -> np.ndarray:
        with paddle.no_grad(), precision.autocast():
            outputs = network(paddle.to_tensor(source.normalized(images)))
        logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        return F.softmax(logits.astype("float32"), axis=-1).numpy()

    def heatmaps(images: np.ndarray) -> np.ndarray:
        return heatmap(network, source.normalized(images))

    return Backend(
        manifest,
        f"paddle {paddle.__version__} {precision.dtype}",
        probabilities,
        heatmaps if isinstance(network, Network) else None,
    )
