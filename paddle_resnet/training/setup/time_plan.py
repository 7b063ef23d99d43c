"""How long a run will take: its pace, and a budget fitted to the measured speed."""

from __future__ import annotations

from typing import Callable, Optional

from paddle import nn

from ...config import Config
from ...data import BatchLoader
from ...data.splits import DataSplits, subset
from ...evaluation.tta import TTA_VIEWS
from ..callbacks.look import forward_seconds
from ..loop.progress import Progress, StepPlan, TimeBudget
from ..wording import duration


def make_progress(config: Config, parts: DataSplits) -> Progress:
    """Return the pace of a recipe: of its budget where it has one, else of its epochs."""
    images = len(parts.validation.images) if parts.validation else 0
    # A view more takes as long as an image more.
    test = len(parts.test.images) * TTA_VIEWS[config.augment.test_time]
    if config.train.budget is not None:
        return TimeBudget(config.train.budget, test_images=test)
    epochs = config.train.epochs
    return StepPlan(
        epochs * len(parts.train),
        validation_images=images,
        evaluations=epochs if images else 0,
        test_images=test,
    )


def measure_eval_speed(
    config: Config, network: nn.Layer, parts: DataSplits, pace: Progress
) -> None:
    """Tell the pace how long evaluation takes, before there has been one."""
    budget = config.train.budget
    patience = 0.02 * budget if budget is not None else 5.0
    # Batches as they will be: the time of an image depends much on their size.
    rows = min(config.train.eval_batch_size, len(parts.test.images))
    seconds: list[float] = []
    # The first call allocates and is not typical; a short budget has no time for more.
    while len(seconds) < 3 and (len(seconds) < 2 or pace.elapsed < patience):
        seconds += forward_seconds(network, [rows, *parts.input_shape], 1, pace.clock)
    pace.evaluation_took(min(seconds[1:]), rows)


def plan_rounds(
    pace: TimeBudget, parts: DataSplits, resuming: bool, log: Callable[[str], None]
) -> Optional[BatchLoader]:
    """Decide on rounds, and return what of the validation images the budget leaves time for."""
    validation = parts.validation
    total = len(validation.images) if validation else 0
    if not resuming:  # a run goes on with the rounds and images that it began with
        pace.plan(total)
    if validation is not None and pace.validation_images < total:
        validation = subset(validation, max(pace.validation_images, 10))
        pace.validation_images = len(validation.images)
        log(
            f"the budget leaves time to watch {pace.validation_images:,} of the "
            f"{total:,} validation images"
        )
    log(
        f"budget: {duration(pace.budget)} in {pace.rounds} rounds, of which "
        f"about {duration(pace.test_seconds)} for the test set"
    )
    return validation
