"""Train any network for a given time, without a run folder: for comparing networks."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional

from paddle import nn
from paddle.callbacks import Callback

from ..config import Config
from ..data.splits import DataSplits
from ..evaluation.evaluate import evaluate
from ..optim.learning_rate import LearningRate
from ..optim.optimizers import make_optimizer
from ..optim.schedules import make_schedule
from .image_classifier import ImageClassifier
from .loop.batch_stream import BatchStream
from .loop.losses import MixupAccuracy, MixupCrossEntropy
from .loop.progress import TimeBudget
from .loop.progressive_resizing import make_progressive_resizing
from .setup.build_state import make_features

#: The least time of a round, of which there is a row in the history.
ROUND_SECONDS = 15


def timed_training(
    network: nn.Layer,
    config: Config,
    parts: DataSplits,
    write: Callable[[str], None] = print,
    wait: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train a network by a recipe for ``config.train.budget`` seconds, then test it once.

    The budget is for the training alone: however slow its evaluation, a network gets as much time
    to learn as any other.

    Args:
        network: maps images to logits.
        config: the recipe; its ``model`` and ``run`` are not used, and nothing is validated.
        parts: the data.
        write: called with each line of progress.
        wait: called at the end of every round; the time that it takes is not counted. Two networks
            can so take turns, that a burst of other load on the machine hits both alike.

    Returns:
        dict: ``seconds``, ``steps``, ``epochs``, ``images_per_second`` of the training;
        ``history``, at most 20 rows of ``seconds``, ``epochs``, ``loss``, ``acc_top1``;
        ``test``, the figures of :meth:`Evaluation.summary`.

    Raises:
        TrainingError: the loss became NaN or infinite.
    """
    clock = _Stopwatch()
    pace = TimeBudget(config.train.budget, clock=clock)
    # A round has at least one step: where steps are slow, many rounds would overrun the budget.
    pace.rounds = max(1, min(int(config.train.budget / ROUND_SECONDS), pace.MOST_ROUNDS))
    stream = BatchStream(parts.train, pace, make_progressive_resizing(config, pace))
    optimizer = make_optimizer(config.optimizer, network)
    shape = make_schedule(config.schedule, pace.rounds)
    rate = LearningRate(config.optimizer.lr, shape, pace)
    features = make_features(config, network, pace, rate, write, validated=False)
    model = ImageClassifier(network)
    model.prepare(
        optimizer,
        MixupCrossEntropy(config.train.label_smoothing),
        MixupAccuracy(),
        features.precision,
    )
    record = _Record(pace, stream, write, lambda: clock.stand_still(wait))
    callbacks = [pace, rate, *features.callbacks, record]
    model.fit(
        stream,
        epochs=pace.rounds,
        pace=pace,
        callbacks=callbacks,
        verbose=0,
        accumulate_grad_batches=config.train.accumulate,
        average=features.average,
    )
    if features.average is not None:
        features.average.apply()
    return {
        "seconds": pace.train_seconds,
        "steps": pace.steps,
        "epochs": stream.epochs,
        "images_per_second": pace.images / pace.train_seconds,
        "history": record.rows,
        "test": evaluate(network, parts.test, precision=features.precision).summary(),
    }


class _Stopwatch:
    """A clock in seconds that can be held."""

    def __init__(self) -> None:
        self._held = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self._held

    def stand_still(self, during: Callable[[], None]) -> None:
        """Call something that takes no time by this clock."""
        began = time.monotonic()
        during()
        self._held += time.monotonic() - began


class _Record(Callback):
    """Keeps and tells the figures of each round, then waits."""

    def __init__(
        self,
        pace: TimeBudget,
        stream: BatchStream,
        write: Callable[[str], None],
        wait: Callable[[], None],
    ) -> None:
        super().__init__()
        self.pace = pace
        self.stream = stream
        self.write = write
        self.wait = wait
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Keep a row."""
        row = {
            "seconds": self.pace.train_seconds,
            "epochs": self.stream.epochs,
            "loss": float(logs["loss"][0]),
            "acc_top1": float(logs["acc"]),
        }
        self.rows.append(row)
        self.write(
            f"round {epoch + 1} of {self.pace.rounds}: loss {row['loss']:.4f}, "
            f"accuracy {row['acc_top1']:.2%}, {self.pace.images_per_second:,.1f} images/s"
        )
        self.wait()
