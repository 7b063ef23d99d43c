"""The content of result.json."""

from __future__ import annotations

from typing import Any, Optional

from ..config import Config
from ..data.splits import DataSplits
from .loop.train_state import TrainState


def run_result(
    status: str,
    config: Config,
    options: dict[str, Any],
    parameters: int,
    splits: DataSplits,
    state: TrainState,
    *,
    reason: Optional[str] = None,
    test: Optional[dict[str, Any]] = None,
) -> dict[str, Any]:
    """Return what result.json says of a run (JSON types; docs/architecture.md has the table).

    Args:
        status: ``finished``, ``interrupted`` or ``failed``.
        config: the complete recipe.
        options, parameters: of the network: what made it, and how many numbers it trains.
        splits: the data, as they were used.
        state: at the end of the training.
        reason: why the run failed.
        test: metrics of the final test.
    """
    progress = state.progress
    seconds = progress.train_seconds
    return {
        "status": status,
        **({"reason": reason} if reason is not None else {}),
        "model": {"name": config.model.name, "options": options, "parameters": parameters},
        "data": splits.describe(config.data.name),
        "training": {
            "seconds": round(progress.elapsed, 2),
            "steps": progress.step,
            "images": progress.images,
            "epochs": round(state.batches.epochs, 4),
            "images_per_second": round(progress.images / seconds, 2) if seconds else 0.0,
            "budget": config.train.budget,
        },
        "best": state.best.metrics,
        "test": test,
    }
