"""An exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from ..errors import WeightsError


class ExponentialMovingAverage:
    """Follows a network's weights slowly; evaluated in their place, it is often the better network.

    After update ``n`` (from 1), ``average = d * average + (1 - d) * weights`` with ``d = decay``,
    or, with the warm-up, ``d = min(decay, (1 + n) / (10 + n))``, so that the initial weights are
    soon forgotten. The running statistics of batch norms are averaged along with the weights: they
    belong to the averaged weights about as well as the last ones belong to the last weights, and
    no pass over the data is needed.

    Args:
        network (paddle.nn.Layer): whose weights; the average begins as a copy of them.
        decay (float): how much of the average stays in each update, such as 0.999.
        warmup (bool): forget faster in the first updates. Default: True.
    """

    def __init__(self, network: nn.Layer, decay: float, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self._weights: dict[str, Tensor] = dict(network.state_dict())
        # In float32 also where the weights are half precision: steps of a thousandth would be lost.
        self._average = {
            name: tensor.detach().astype("float32").clone()
            for name, tensor in self._weights.items()
        }

    @property
    def tensors(self) -> list[Tensor]:
        """The average, float32, in the order of the network's state dict."""
        return list(self._average.values())

    def update(self) -> None:
        """Take a step towards the weights as they are now."""
        self.updates += 1
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        with paddle.no_grad():
            for name, tensor in self._weights.items():
                average = self._average[name]
                average.add_((tensor.astype("float32") - average) * (1.0 - decay))

    @contextmanager
    def average_parameters(self) -> Iterator[None]:
        """Within this block the network holds the average, after it its own weights again."""
        own = {name: tensor.detach().clone() for name, tensor in self._weights.items()}
        self.copy_to()
        try:
            yield
        finally:
            for name, tensor in self._weights.items():
                tensor.set_value(own[name])

    def copy_to(self) -> None:
        """Put the average into the network for good."""
        for name, tensor in self._weights.items():
            tensor.set_value(self._average[name].astype(tensor.dtype))

    def state_dict(self) -> dict[str, Any]:
        """Return the number of updates, and float32 arrays by name."""
        average = {name: tensor.numpy() for name, tensor in self._average.items()}
        return {"updates": self.updates, "average": average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            WeightsError: the average is that of another network.
        """
        arrays = state["average"]
        shapes = {name: list(tensor.shape) for name, tensor in self._average.items()}
        if {name: list(np.shape(array)) for name, array in arrays.items()} != shapes:
            raise WeightsError("the checkpoint's average of weights is that of another network.")
        for name, array in arrays.items():
            self._average[name].set_value(array)
        self.updates = int(state["updates"])
