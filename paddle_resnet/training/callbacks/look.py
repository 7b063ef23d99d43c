"""Measures the speed of evaluation anew as the end of a budgeted training comes near."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

import paddle
from paddle import nn
from paddle.callbacks import Callback

from ...evaluation.evaluate import main_output
from ...models.precision import Precision
from ..loop.progress import TimeBudget


class Look(Callback):
    """Tells a pace, whenever it asks for it, how fast the network evaluates now.

    It stands right after the pace, before all that asks whether the round is over.

    Args:
        pace (TimeBudget): keeps time for the test set.
        input_shape (list): ``[C, H, W]`` of an image.
        most (int): images of a batch in evaluation; a look is no larger.
        precision (Precision): what evaluation computes in.
    """

    def __init__(
        self, pace: TimeBudget, input_shape: Sequence[int], most: int, precision: Precision
    ) -> None:
        super().__init__()
        self.pace = pace
        self.input_shape = list(input_shape)
        self.most = most
        self.precision = precision

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Look, where it is time to."""
        pace = self.pace
        if not pace.should_look():
            return
        rows = min(pace.look_images, self.most)
        shape = [rows, *self.input_shape]
        with self.precision.autocast():
            # The first call is not typical.
            _, seconds = forward_seconds(self.model.network, shape, 2, pace.clock)
        pace.looked(seconds, rows)


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
            float(main_output(network(images)).max())  # a GPU answers before it has computed
            seconds.append(clock() - began)
    if was_training:
        network.train()
    return seconds
