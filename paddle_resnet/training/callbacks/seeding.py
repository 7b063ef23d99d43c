"""Makes what a step draws at random depend on the seed and the step alone."""

from __future__ import annotations

import random
from typing import Optional

import numpy as np
import paddle
from paddle.callbacks import Callback

from ...distributed.collectives import rank
from ..loop.progress import Progress


class SeedSteps(Callback):
    """Seeds the generators of Paddle, NumPy and Python before every epoch and every step.

    Dropout, stochastic depth and whatever else draws from them then needs no state in a
    checkpoint: a run that goes on at step n draws what the uninterrupted one would have drawn.

    Args:
        seed (int): the recipe's.
        pace (Progress): counts the steps.
    """

    def __init__(self, seed: int, pace: Progress) -> None:
        super().__init__()
        self.seed = seed
        self.pace = pace

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Seed what is drawn between epochs."""
        _seed(self.seed, 1, epoch)

    def on_train_batch_begin(self, step: int, logs: Optional[dict] = None) -> None:
        """Seed what this step draws, for its own share of the batch in each process."""
        _seed(self.seed, 0, self.pace.steps, *([rank()] if rank() else []))


def _seed(*words: int) -> None:
    # SeedSequence spreads near numbers far apart, and its values are the same in every NumPy.
    paddle_seed, numpy_seed, python_seed = map(
        int, np.random.SeedSequence(words).generate_state(3, np.uint32)
    )
    paddle.seed(paddle_seed)
    np.random.seed(numpy_seed)
    random.seed(python_seed)
