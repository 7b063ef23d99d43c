"""Train any network for a given time, without a run folder: for comparing networks."""

from __future__ import annotations

from typing import Any, Callable, Optional

import paddle
from paddle import nn
from paddle.callbacks import Callback

from ..config import Config
from .callbacks.console import Console
from .callbacks.schedule import ScheduleLearningRate
from .classifier import ImageClassifier
from .datasets import Parts
from .evaluation import evaluate
from .optimizers import make_optimizer
from .pace import BudgetPace
from .schedules import make_schedule
from .stream import TrainingStream

#: The least time of a round, of which there is a row in the history.
ROUND_SECONDS = 15


def train_for(
    network: nn.Layer, config: Config, parts: Parts, write: Callable[[str], None] = print
) -> dict[str, Any]:
    """Train a network by a recipe for ``config.train.budget`` seconds, then test it once.

    The budget is for the training alone: however slow its evaluation, a network gets as much time
    to learn as any other.

    Args:
        network: maps images to logits.
        config: the recipe; its ``model`` and ``run`` are not used, and nothing is validated.
        parts: the data.
        write: called with each line of progress.

    Returns:
        dict: ``seconds``, ``steps``, ``epochs``, ``images_per_second`` of the training;
        ``history``, at most 20 rows of ``seconds``, ``epochs``, ``loss``, ``acc_top1``;
        ``test``, the figures of :meth:`Evaluation.summary`.

    Raises:
        TrainingError: the loss became NaN or infinite.
    """
    pace = BudgetPace(config.train.budget)
    # A round has at least one step: where steps are slow, many rounds would overrun the budget.
    pace.rounds = max(1, min(int(config.train.budget / ROUND_SECONDS), pace.MOST_ROUNDS))
    stream = TrainingStream(parts.train, pace)
    model = ImageClassifier(network)
    model.prepare(
        make_optimizer(config.optimizer, network),
        nn.CrossEntropyLoss(label_smoothing=config.train.label_smoothing),
        paddle.metric.Accuracy(),
    )
    schedule = config.schedule
    shape = make_schedule(schedule.name, schedule.warmup, schedule.final)
    record = _Record(pace, stream)
    callbacks = [
        pace,
        ScheduleLearningRate(config.optimizer.lr, shape, pace),
        Console(pace, verbose=1, write=write, terminal=False),
        record,
    ]
    model.fit(stream, epochs=pace.rounds, pace=pace, callbacks=callbacks)
    return {
        "seconds": pace.train_seconds,
        "steps": pace.steps,
        "epochs": stream.epochs,
        "images_per_second": pace.images / pace.train_seconds,
        "history": record.rows,
        "test": evaluate(network, parts.test).summary(),
    }


class _Record(Callback):
    """Keeps the figures of each round."""

    def __init__(self, pace: BudgetPace, stream: TrainingStream) -> None:
        super().__init__()
        self.pace = pace
        self.stream = stream
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Keep a row."""
        self.rows.append(
            {
                "seconds": self.pace.train_seconds,
                "epochs": self.stream.epochs,
                "loss": float(logs["loss"][0]),
                "acc_top1": float(logs["acc"]),
            }
        )
