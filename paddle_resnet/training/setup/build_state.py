"""The state that a recipe's training starts from: optimizer, schedule, average, callbacks."""

from __future__ import annotations

from typing import Callable, Optional

from paddle import nn

from ...config import Config
from ...data.splits import DataSplits
from ...errors import ConfigError
from ...models.precision import run_precision
from ...optim.ema import ExponentialMovingAverage
from ...optim.learning_rate import LearningRate
from ...optim.optimizers import make_optimizer
from ...optim.schedules import make_schedule
from ..callbacks.convolution_choices import ConvolutionChoices
from ..callbacks.early_stopping import EarlyStopping
from ..callbacks.freezing import Freezing
from ..callbacks.plateau import ReduceOnPlateau
from ..loop.accumulation import GradientAccumulator
from ..loop.batch_stream import BatchStream
from ..loop.callback import Callback
from ..loop.epoch_means import EpochMeans
from ..loop.losses import MixupAccuracy, MixupCrossEntropy
from ..loop.progress import Progress
from ..loop.progressive_resizing import make_progressive_resizing
from ..loop.speed import SpeedMonitor
from ..loop.train_state import TrainState


def build_state(
    config: Config,
    network: nn.Layer,
    splits: DataSplits,
    progress: Progress,
    speed: SpeedMonitor,
    log: Callable[[str], None],
    seed: Optional[int] = None,
) -> TrainState:
    """Return the state of a training that has not begun.

    Args:
        config: the recipe.
        network: with its initial weights.
        splits: the data; without validation images nothing can be monitored.
        progress: with the recipe's plan.
        speed: of this training.
        log: takes lines.
        seed: of what steps draw at random. Default: the generators are left alone.

    Raises:
        ConfigError: a stage that the network does not have, a metric that nothing measures, or
            options that exclude each other.
    """
    plan = progress.plan
    precision = run_precision(config, log)
    if precision.is_mixed and precision.level == "O2" and config.optimizer.name == "muon":
        raise ConfigError(
            "optimizer.name is muon, which has no steps for weights in half precision: set "
            "train.amp_level to O1."
        )
    optimizer = make_optimizer(config.optimizer, network)
    schedule = make_schedule(config.schedule, lambda: plan.epochs)
    ema = None
    if config.ema.decay is not None:
        ema = ExponentialMovingAverage(network, config.ema.decay, config.ema.warmup)
    callbacks = _callbacks(config, network, log, validated=splits.validation is not None)
    precision.decorate(network, optimizer)
    return TrainState(
        network=network,
        optimizer=optimizer,
        loss=MixupCrossEntropy(config.train.label_smoothing),
        batches=BatchStream(
            splits.train,
            endless=config.train.budget is not None,
            transform=make_progressive_resizing(config, progress),
        ),
        progress=progress,
        speed=speed,
        epoch_means=EpochMeans([MixupAccuracy(topk=(1, min(5, len(splits.classes))))]),
        precision=precision,
        scaler=precision.make_scaler(),
        accumulator=GradientAccumulator(config.train.grad_accum_steps),
        learning_rate=LearningRate(optimizer, config.optimizer.lr, schedule),
        ema=ema,
        seed=seed,
        callbacks=callbacks,
    )


def _callbacks(
    config: Config, network: nn.Layer, log: Callable[[str], None], validated: bool
) -> list[Callback]:
    callbacks: list[Callback] = [ConvolutionChoices(log)]
    if config.finetune.unfreeze_at:
        callbacks.append(Freezing(network, config.finetune.unfreeze_at))
    stop, plateau = config.early_stopping, config.plateau
    for name, section in (("early_stopping", stop), ("plateau", plateau)):
        if section.patience is not None and not validated:
            raise ConfigError(
                f"{name}.patience is {section.patience}, but there are no validation images to "
                "monitor: set data.validation."
            )
    if stop.patience is not None:
        callbacks.append(EarlyStopping(log, stop.monitor, stop.patience, stop.min_delta))
    if plateau.patience is not None:
        callbacks.append(
            ReduceOnPlateau(
                log,
                plateau.monitor,
                factor=plateau.factor,
                patience=plateau.patience,
                min_delta=plateau.min_delta,
                cooldown=plateau.cooldown,
                min_factor=plateau.min_factor,
            )
        )
    return callbacks
