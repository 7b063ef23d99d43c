"""What a finished training comes to: the test set, once, and the files that say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from paddle import nn

from ..config import Config
from ..data.splits import DataSplits, subset
from ..distributed.collectives import broadcast_from_rank0, broadcast_parameters
from ..errors import UserError
from ..io.atomic_files import atomic_write
from ..models.precision import Precision
from ..training.loop.batch_stream import BatchStream
from ..training.loop.progress import Progress, TimeBudget
from ..training.wording import duration
from ..weights.save_load import load_weights
from .evaluate import Evaluation, evaluate
from .tta import TTA_VIEWS

#: How many of the most confident mistakes a run keeps the images of.
MISTAKES = 64


def test(
    network: nn.Layer,
    best: Optional[Path],
    parts: DataSplits,
    pace: Progress,
    log: Callable[[str], None],
    kind: str,
    precision: Precision,
) -> tuple[Evaluation, str]:
    """Evaluate the selected weights on the test set, once.

    Args:
        network: as the training left it.
        best: the weights to take in their place; None takes the last ones.
        parts: its ``test`` is cut to what a budget leaves time for.
        pace: knows that time.
        log: takes lines.
        kind: whose answers are averaged, see :func:`~paddle_resnet.evaluation.tta.tta_views`.
        precision: what the training computed in.

    Returns:
        tuple: the evaluation, and which weights it was: ``best`` or ``last``.
    """
    weights = "last"
    if best is not None:
        weights = broadcast_from_rank0(lambda: _load(network, best, log))
        broadcast_parameters(network)
    whole = len(parts.test.images)
    if isinstance(pace, TimeBudget):
        # Cut before the figures are seen, by speed alone.
        parts.test = subset(parts.test, pace.test_images_that_fit() // TTA_VIEWS[kind])
    part = len(parts.test.images)
    which = "the test set" if part == whole else f"{part:,} of the {whole:,} test images, "
    log(
        f"evaluating the {weights} weights on {which}"
        + ("" if part == whole else "as many as the budget leaves time for")
        + ("" if kind == "none" else f", {TTA_VIEWS[kind]} views of each ({kind})")
    )
    evaluation = evaluate(network, parts.test, kind=kind, precision=precision)
    log(
        f"test {evaluation.sentence()}, on {len(evaluation.labels):,} images; "
        f"{duration(pace.elapsed)} in all"
    )
    return evaluation, weights


def _load(network: nn.Layer, best: Path, log: Callable[[str], None]) -> str:
    try:
        load_weights(network, best)
    except UserError as error:
        log(f"warning: {error} The last weights are tested in place of the best.")
        return "last"
    return "best"


def save_predictions(path: Path, evaluation: Evaluation, images: np.ndarray) -> None:
    """Write ``predictions.npz``.

    Raises:
        OSError: it cannot be written.
    """
    mistakes = evaluation.mistakes(MISTAKES)
    with atomic_write(path) as file:
        np.savez_compressed(
            file,
            labels=evaluation.labels,
            probabilities=evaluation.probabilities.astype(np.float16),
            mistakes=mistakes,
            mistake_images=images[mistakes],
        )


def training_summary(config: Config, pace: Progress, stream: BatchStream) -> dict[str, Any]:
    """Return the entry ``training`` of result.json."""
    seconds = pace.train_seconds
    return {
        "seconds": round(pace.elapsed, 2),
        "steps": pace.steps,
        "images": pace.images,
        "epochs": round(stream.epochs, 4),
        "images_per_second": round(pace.images / seconds, 2) if seconds else 0.0,
        "budget": config.train.budget,
    }
