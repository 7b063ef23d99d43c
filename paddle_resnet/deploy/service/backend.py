"""What a service needs of a network: its facts, probabilities, and a heat map where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from ..manifest import Manifest
from ..predictor import Predictor

#: Of uint8 ``[N, C, H, W]``.
Compute = Callable[[np.ndarray], np.ndarray]


@dataclass
class Backend:
    """A network that answers; its functions are called by one thread."""

    manifest: Manifest
    #: Such as ``onnxruntime 1.32.0``.
    runtime: str
    #: Returns float32 ``[N, classes]``.
    probabilities: Compute
    #: Returns float32 ``[N, h, w]`` in [0, 1]: how much each place speaks for the best class.
    heatmap: Optional[Compute] = None


def export_backend(predictor: Predictor) -> Backend:
    """Return the backend of an exported file."""
    return Backend(predictor.manifest, predictor.runtime.name, predictor.probabilities)
