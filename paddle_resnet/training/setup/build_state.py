"""What a recipe asks for beside optimizer and schedule, made for one training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Optional

from paddle import nn
from paddle.callbacks import Callback

from ...config import Config
from ...errors import ConfigError
from ...models.precision import Precision, run_precision
from ...optim.ema import ExponentialMovingAverage
from ...optim.learning_rate import LearningRate
from ...optim.optimizers import make_optimizer
from ...optim.schedules import constant
from ..callbacks.freezing import Freezing
from ..callbacks.plateau import ReduceScheduledRate, StopWithoutProgress
from ..loop.progress import Progress


@dataclass
class Features:
    """The parts that take part in a training, where the recipe has them."""

    precision: Precision
    average: Optional[ExponentialMovingAverage] = None
    #: After the pace and the schedule, before whatever prints and saves.
    callbacks: list[Callback] = field(default_factory=list)


def make_features(
    config: Config,
    network: nn.Layer,
    pace: Progress,
    schedule: LearningRate,
    say: Callable[[str], None],
    validated: bool = True,
) -> Features:
    """Make what the sections train, ema, finetune, early_stopping and plateau ask for.

    Args:
        config: the recipe.
        network: with its initial weights; the optimizer is made already.
        pace: of the training.
        schedule: what a plateau lowers.
        say: takes sentences for people.
        validated: whether there are validation images to watch.

    Raises:
        ConfigError: a part that the network does not have, or nothing to watch.
    """
    precision = run_precision(config, say)
    if precision.is_mixed and precision.level == "O2" and config.optimizer.name == "muon":
        raise ConfigError(
            "optimizer.name is muon, which has no steps for weights in half precision: set "
            "train.precision_level to O1."
        )
    features = Features(precision)
    if config.ema.decay is not None:
        features.average = ExponentialMovingAverage(network, config.ema.decay, config.ema.warmup)
    if config.finetune.frozen_until:
        features.callbacks.append(Freezing(network, config.finetune.frozen_until, pace))
    for name, section in (("early_stopping", config.early_stopping), ("plateau", config.plateau)):
        if section.patience is not None and not validated:
            raise ConfigError(
                f"{name}.patience is {section.patience}, but there are no validation images to "
                "watch: set data.validation."
            )
    stop, plateau = config.early_stopping, config.plateau
    if stop.patience is not None:
        features.callbacks.append(
            StopWithoutProgress(
                say,
                monitor=stop.monitor.removeprefix("val_"),
                patience=stop.patience,
                min_delta=stop.min_delta,
            )
        )
    if plateau.patience is not None:
        features.callbacks.append(
            ReduceScheduledRate(
                schedule,
                say,
                monitor=plateau.monitor.removeprefix("val_"),
                factor=plateau.factor,
                patience=plateau.patience,
                min_delta=plateau.min_delta,
                cooldown=plateau.cooldown,
                min_lr=plateau.least,
            )
        )
    return features


def try_features(config: Config, network: nn.Layer, pace: Progress, validated: bool) -> None:
    """Raise what :func:`make_features` and the optimizer would, before anything is written.

    Raises:
        ConfigError: a part that the network does not have, or nothing to watch.
    """
    make_optimizer(config.optimizer, network)
    schedule = LearningRate(config.optimizer.lr, constant, pace)
    make_features(config, network, pace, schedule, lambda line: None, validated)
