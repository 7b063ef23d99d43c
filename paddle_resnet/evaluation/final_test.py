"""The final test of a run: the test set, once, and predictions.npz."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

import numpy as np
from paddle import nn

from ..data import BatchLoader
from ..data.splits import DataSplits, subset
from ..distributed.collectives import broadcast_from_rank0
from ..distributed.gradients import broadcast_parameters
from ..errors import UserError
from ..io.atomic_files import atomic_write
from ..models import Network
from ..models.precision import Precision
from ..weights.save_load import load_weights
from .class_activation import class_activation
from .evaluate import Evaluation, evaluate_loader
from .tta import TTA_VIEWS

#: How many of the most confident mistakes a run keeps the images of.
MISTAKES = 64


def test(
    network: nn.Layer,
    best: Optional[Path],
    splits: DataSplits,
    log: Callable[[str], None],
    tta: str,
    precision: Precision,
    most: Optional[int],
) -> tuple[Evaluation, str]:
    """Evaluate the selected weights on the test set, once.

    Args:
        network: as the training left it.
        best: the weights to evaluate in place of the network's own; None: its own, the last ones.
        splits: its ``test`` becomes what was evaluated.
        log: takes lines.
        tta: whose answers are averaged, see :func:`~paddle_resnet.evaluation.tta.tta_views`.
        precision: what the training computed in.
        most: images that there is time for; None: all.

    Returns:
        tuple: the evaluation, and which weights it was: ``best`` or ``last``.
    """
    weights = "last"
    if best is not None:
        weights = broadcast_from_rank0(lambda: _load(network, best, log))
        broadcast_parameters(network)
    whole = len(splits.test.images)
    if most is not None:
        # Cut before the metrics are known, by speed alone.
        splits.test = subset(splits.test, most)
    images = len(splits.test.images)
    which = "the test set" if images == whole else f"{images:,} of the {whole:,} test images, "
    log(
        f"evaluating the {weights} weights on {which}"
        + ("" if images == whole else "as many as the budget leaves time for")
        + ("" if tta == "none" else f", {TTA_VIEWS[tta]} views of each ({tta})")
    )
    return evaluate_loader(network, splits.test, tta=tta, precision=precision), weights


def _load(network: nn.Layer, best: Path, log: Callable[[str], None]) -> str:
    try:
        load_weights(network, best)
    except UserError as error:
        log(f"warning: {error} The last weights are tested in place of the best.")
        return "last"
    return "best"


def save_predictions(
    path: Path, evaluation: Evaluation, tested: BatchLoader, network: nn.Layer
) -> None:
    """Write ``predictions.npz``, with the images of the worst mistakes and their heat maps.

    Raises:
        OSError: it cannot be written.
    """
    mistakes = evaluation.mistakes(MISTAKES)
    heatmaps = _heatmaps(network, tested, mistakes) if len(mistakes) else None
    with atomic_write(path) as file:
        np.savez_compressed(
            file,
            labels=evaluation.labels,
            probabilities=evaluation.probabilities.astype(np.float16),
            mistakes=mistakes,
            mistake_images=tested.images[mistakes],
            **({} if heatmaps is None else {"mistake_heatmaps": heatmaps}),
        )


def _heatmaps(network: nn.Layer, tested: BatchLoader, mistakes: np.ndarray) -> Optional[np.ndarray]:
    """Return Grad-CAM heat maps of the predicted classes: uint8 [M, h, w], 255 at each peak.

    None where a heat map is non-finite, or the network is not a `Network`.
    """
    if not isinstance(network, Network):
        return None
    found = []
    for images, _ in tested.subset(mistakes):
        heatmaps = class_activation(network, images)
        if not np.isfinite(heatmaps).all():
            return None
        peaks = np.maximum(heatmaps.max(axis=(1, 2), keepdims=True), np.float32(1e-12))
        found.append(np.round(heatmaps / peaks * 255).astype(np.uint8))
    return np.concatenate(found)
