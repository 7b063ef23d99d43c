"""Equal training time for any network, without a run folder: for comparing networks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable

from paddle import nn

from ..config import Config
from ..data.splits import DataSplits
from ..evaluation.evaluate import evaluate_loader
from .loop.callback import Callback
from .loop.progress import Progress
from .loop.speed import SpeedMonitor
from .loop.time_budget import TimeBudget
from .loop.train_state import TrainState
from .loop.training_loop import train
from .setup.build_state import build_state

#: Least time of a round, of which there is a row in the history.
ROUND_SECONDS = 15


def timed_training(
    network: nn.Layer,
    config: Config,
    splits: DataSplits,
    write: Callable[[str], None] = print,
    wait: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train a network by a recipe for ``config.train.budget`` seconds, then test it once.

    The budget is for the training alone: however slow its evaluation, a network gets as much time
    to learn as any other.

    Args:
        network: computes logits from images.
        config: the recipe; its ``model`` and ``run`` are not used, and nothing is validated.
        splits: the data.
        write: takes each line of progress.
        wait: called at the end of every round; the time that it takes is not counted. Two networks
            can so take turns, so that a burst of other load on the machine hits both alike.

    Returns:
        dict: ``seconds``, ``steps``, ``epochs``, ``images_per_second`` of the training;
        ``history``, at most 20 rows of ``seconds``, ``epochs``, ``loss``, ``acc_top1``;
        ``test``, the metrics of :meth:`Evaluation.summary`.

    Raises:
        NonFiniteError: the loss or a BN statistic became NaN or infinite.
    """
    clock = _Stopwatch()
    speed = SpeedMonitor(clock)
    plan = TimeBudget(config.train.budget, speed)
    # A round has at least one step: if steps are slow, many rounds would exceed the budget.
    plan.epochs = max(1, min(int(config.train.budget / ROUND_SECONDS), plan.MAX_ROUNDS))
    progress = Progress(plan, clock)
    unvalidated = replace(splits, validation=None)
    state = build_state(config, network, unvalidated, progress, speed, write)
    rows = _Rows(write, lambda: clock.pause(wait))
    progress.start_clock()
    train(state, callbacks=[*state.callbacks, rows])
    if state.ema is not None:
        state.ema.copy_to()
    return {
        "seconds": progress.train_seconds,
        "steps": progress.step,
        "epochs": state.batches.epochs,
        "images_per_second": progress.images / progress.train_seconds,
        "history": rows.rows,
        "test": evaluate_loader(network, splits.test, precision=state.precision).summary(),
    }


class _Stopwatch:
    """A clock in seconds that can be paused."""

    def __init__(self) -> None:
        self._paused = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self._paused

    def pause(self, during: Callable[[], None]) -> None:
        """Call something that takes no time by this clock."""
        began = time.monotonic()
        during()
        self._paused += time.monotonic() - began


class _Rows(Callback):
    """Keeps and writes the metrics of each round, then waits."""

    def __init__(self, write: Callable[[str], None], wait: Callable[[], None]) -> None:
        self.write = write
        self.wait = wait
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, state: TrainState, metrics: dict[str, Any]) -> None:
        """Keep a row."""
        row = {
            "seconds": state.progress.train_seconds,
            "epochs": state.batches.epochs,
            "loss": float(metrics["loss"]),
            "acc_top1": float(metrics["acc_top1"]),
        }
        self.rows.append(row)
        self.write(
            f"round {state.progress.epoch} of {state.progress.plan.epochs}: "
            f"loss {row['loss']:.4f}, accuracy {row['acc_top1']:.2%}, "
            f"{state.speed.images_per_second:,.1f} images/s"
        )
        self.wait()
