"""A network of ours as the backend of a service, with heat maps."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle.nn import functional as F

from ...models.precision import run_precision
from ..source import Source
from .backend import Backend

#: Of a network and float32 images ``[N, C, H, W]``, normalised, to float32 ``[N, h, w]``.
Heatmap = Callable[[Any, np.ndarray], np.ndarray]


def network_backend(
    source: Source, log: Callable[[str], None], heatmap: Optional[Heatmap] = None
) -> Backend:
    """Return a backend that computes in Paddle, in the precision of the network's run.

    Args:
        source: the network.
        log: takes a line where the precision does not come as the run had it.
        heatmap: draws heat maps. Default: there are none.
    """
    network, manifest = source.trained.network, source.manifest("float32")
    precision = run_precision(source.config, log)
    scale, shift = manifest.affine()

    def normalized(images: np.ndarray) -> np.ndarray:
        return images.astype(np.float32) * scale + shift

    def probabilities(images: np.ndarray) -> np.ndarray:
        with paddle.no_grad(), precision.autocast():
            outputs = network(paddle.to_tensor(normalized(images)))
        logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        return F.softmax(logits.astype("float32"), axis=-1).numpy()

    return Backend(
        manifest,
        f"paddle {paddle.__version__} {precision.dtype}",
        probabilities,
        None if heatmap is None else lambda images: heatmap(network, normalized(images)),
    )
