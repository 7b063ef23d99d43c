"""Everything that changes while a network is trained: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Protocol

from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from ...models.precision import Precision
from ...optim.ema import ExponentialMovingAverage
from ...optim.learning_rate import LearningRate
from ...optim.optimizer_state import OptimizerState
from .accumulation import GradientAccumulator
from .epoch_means import EpochMeans
from .nan_guard import BatchNormSnapshot
from .progress import Progress
from .speed import SpeedMonitor
from .stateful import CompositeState, NetworkState, ScalerState, Stateful, named_callbacks


class Batches(Protocol):
    """The training batches, with a position."""

    #: Whether the batch last handed out is known to be the epoch's last one.
    at_end: bool
    #: Number of batches of an epoch; None while unknown.
    epoch_length: Optional[int]

    def rest_of_epoch(self) -> Iterator[Any]:
        """Return the batches of the epoch that were not handed out yet."""


@dataclass
class StepResult:
    """The outcome of one training step."""

    #: Mean over the batch's images, of all ranks.
    loss: float
    #: Size of the batch, of all ranks.
    images: int
    #: The batch of this rank.
    inputs: list[Tensor]


@dataclass
class TrainState:
    """A training: what :func:`~paddle_resnet.training.loop.training_loop.train` works on.

    Args:
        network: computes logits from images.
        optimizer: of the network's parameters.
        loss: computes one loss, or several that are added up, from outputs and labels.
        batches: yields what the step function takes.
        progress: counters, and the plan they belong to.
        speed: measures the steps.
        epoch_means: loss and metrics of the epoch under way. Default: the loss alone.
        precision: what forward passes compute in. Default: float32.
        scaler: of the gradients of float16. Default: none.
        accumulator: batches of one update. Default: one.
        learning_rate: sets the optimizer's rate before each update. Default: nothing sets it here.
        ema: average of the weights, evaluated in their place. Default: none.
        seed: decides what steps draw at random. Default: the generators are left alone.
        callbacks: those that have a state dict are part of a checkpoint.
        best: metrics of the best epoch, kept by the checkpointer. Default: none.
        dataset_check: remembers the image files of a run. Default: none.
    """

    network: nn.Layer
    optimizer: Optional[Optimizer]
    loss: Optional[Callable[..., Any]]
    batches: Batches
    progress: Progress
    speed: SpeedMonitor
    epoch_means: EpochMeans = field(default_factory=EpochMeans)
    precision: Precision = field(default_factory=Precision)
    scaler: Any = None
    accumulator: GradientAccumulator = field(default_factory=GradientAccumulator)
    learning_rate: Optional[LearningRate] = None
    ema: Optional[ExponentialMovingAverage] = None
    seed: Optional[int] = None
    callbacks: list[Any] = field(default_factory=list)
    best: Any = None
    dataset_check: Optional[Stateful] = None

    def __post_init__(self) -> None:
        self.bn_snapshot = BatchNormSnapshot(self.network)

    @property
    def stop_reason(self) -> str:
        """Why training ends with this epoch, though its plan goes further; empty if it does not."""
        return self.progress.stop_reason

    @stop_reason.setter
    def stop_reason(self, reason: str) -> None:
        self.progress.stop_reason = reason

    @property
    def is_between_updates(self) -> bool:
        """Whether no gradient waits for further batches of its update."""
        return not self.accumulator.pending

    @property
    def is_last_batch(self) -> bool:
        """Whether the step under way is known to be its epoch's last one."""
        return self.batches.at_end or self.progress.plan.is_last_step(self.progress)

    def start_epoch(self) -> None:
        """Prepare an epoch, or the rest of one that was interrupted."""
        self.epoch_means.start_epoch()
        self.speed.start_epoch()

    def set_learning_rate(self) -> None:
        """Set the rate of the next update; all batches of one update have the same."""
        if self.learning_rate is not None and self.is_between_updates:
            self.learning_rate.set(self.progress.fraction)

    def count(self, result: StepResult) -> None:
        """Count a step."""
        self.progress.count(result.images, self.speed.count_step(result.images))
        self.epoch_means.count_step(result.loss, result.images)

    def end_epoch(self) -> dict[str, Any]:
        """Return the means of the epoch; what follows is not training time.

        Raises:
            DataError: the epoch had no batch.
        """
        self.speed.end_epoch()
        return self.epoch_means.take()

    def evaluated_weights(self) -> AbstractContextManager:
        """Return a context in which the network holds the weights that are evaluated and kept."""
        return nullcontext() if self.ema is None else self.ema.average_parameters()

    # -- checkpoints -----------------------------------------------------------------------

    def _parts(self) -> dict[str, Stateful]:
        parts = {
            "network": NetworkState(self.network),
            "optimizer": OptimizerState(self.network, self.optimizer),
            "scaler": None if self.scaler is None else ScalerState(self.scaler),
            "ema": self.ema,
            "progress": self.progress,
            "epoch_means": self.epoch_means,
            "batches": self.batches,
            "learning_rate": self.learning_rate,
            # Loggers write on rank 0 alone: other ranks do not have them.
            "callbacks": CompositeState(named_callbacks(self.callbacks), optional=True),
            "best": self.best,
            "dataset_check": self.dataset_check,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the content of a checkpoint: nested dicts of JSON types and NumPy arrays."""
        return CompositeState(self._parts()).state_dict()

    def load_weights(self, state: dict[str, Any]) -> None:
        """Restore the network and its average alone, from a :meth:`state_dict`."""
        NetworkState(self.network).load_state_dict(state["network"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])

    def load_state_dict(self, state: dict[str, Any], origin: str = "the checkpoint") -> None:
        """Restore :meth:`state_dict`.

        Raises:
            UserError: an entry is missing, or cannot be used; ``origin`` says where it is from.
        """
        CompositeState(self._parts(), origin).load_state_dict(state)
