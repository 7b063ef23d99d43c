"""How long a run takes: its plan, and the rounds of a time budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional, Union

import paddle
from paddle import nn

from ...config import Config
from ...data import BatchLoader
from ...data.splits import DataSplits, subset
from ...evaluation.evaluate import main_output
from ...evaluation.tta import TTA_VIEWS
from ...formatting import console_duration
from ..loop.progress import Progress, StepPlan
from ..loop.speed import SpeedMonitor
from ..loop.time_budget import TimeBudget

#: A part of the validation images has at least this many.
_MIN_VALIDATION_IMAGES = 10


def make_plan(
    config: Config, splits: DataSplits, speed: SpeedMonitor
) -> Union[StepPlan, TimeBudget]:
    """Return the plan of a recipe: its time budget if it has one, else its epochs."""
    # A view more takes as long as an image more.
    test_images = len(splits.test.images) * TTA_VIEWS[config.test.tta]
    if config.train.budget is not None:
        return TimeBudget(config.train.budget, speed, test_images=test_images)
    return StepPlan(
        config.train.epochs,
        config.train.epochs * len(splits.train),
        speed=speed,
        validation_images=len(splits.validation.images) if splits.validation else 0,
        test_images=test_images,
    )


def measure_eval_speed(
    config: Config, network: nn.Layer, splits: DataSplits, progress: Progress, speed: SpeedMonitor
) -> None:
    """Measure the speed of evaluation before there was one.

    On images of zeros, in batches of the size that evaluation has: the time per image depends on
    it.
    """
    budget = config.train.budget
    patience = 0.02 * budget if budget is not None else 5.0
    images = min(config.train.eval_batch_size, len(splits.test.images))
    seconds: list[float] = []
    # The first call allocates memory and is not typical; a short budget has no time for more.
    while len(seconds) < 3 and (len(seconds) < 2 or progress.elapsed < patience):
        seconds += forward_seconds(network, [images, *splits.input_shape], 1, speed.clock)
    speed.evaluation_took(min(seconds[1:]), images)


def forward_seconds(
    network: nn.Layer, shape: Sequence[int], calls: int, clock: Callable[[], float]
) -> list[float]:
    """Return how long each of some forward passes in eval mode takes.

    Args:
        network: its mode is restored afterwards.
        shape: ``[B, C, H, W]`` of a batch.
        calls: how many passes.
        clock: seconds.
    """
    was_training = network.training
    network.eval()
    images, seconds = paddle.zeros(list(shape)), []
    with paddle.no_grad():
        for _ in range(calls):
            began = clock()
            float(main_output(network(images)).max())  # a GPU returns before it has computed
            seconds.append(clock() - began)
    if was_training:
        network.train()
    return seconds


def fit_validation(
    plan: Union[StepPlan, TimeBudget],
    validation: Optional[BatchLoader],
    log: Callable[[str], None],
) -> Optional[BatchLoader]:
    """Return the validation images that a planned time budget leaves time for: all of a StepPlan.

    Args:
        plan: its rounds are planned, or restored from a checkpoint.
        validation: all validation images.
        log: takes lines.
    """
    if not isinstance(plan, TimeBudget):
        return validation
    total = len(validation.images) if validation is not None else 0
    if validation is not None and plan.validation_images < total:
        validation = subset(validation, max(plan.validation_images, _MIN_VALIDATION_IMAGES))
        plan.validation_images = len(validation.images)
        log(
            f"the budget leaves time to validate on {plan.validation_images:,} of the "
            f"{total:,} validation images"
        )
    log(
        f"budget: {console_duration(plan.budget)} in {plan.epochs} rounds, of which "
        f"about {console_duration(plan.test_seconds)} for the test set"
    )
    return validation
