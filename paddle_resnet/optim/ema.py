"""An exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
import paddle
from paddle import Tensor, nn

from ..errors import WeightsError


class ExponentialMovingAverage:
    """An average of a network's weights, evaluated in their place: often the better network.

    After update ``n`` (from 1), ``average = d * average + (1 - d) * weights`` with ``d = decay``,
    or, with the warm-up, ``d = min(decay, (1 + n) / (10 + n))``, so that the initial weights are
    soon forgotten. BN statistics are averaged in the same way, so that no pass over the data is
    needed; they fit the averaged weights about as well as the last ones fit the last weights.

    Args:
        network (paddle.nn.Layer): the average starts as a copy of its weights.
        decay (float): part of the average that stays in each update, such as 0.999.
        warmup (bool): a smaller decay in the first updates. Default: True.
    """

    def __init__(self, network: nn.Layer, decay: float, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self._weights: dict[str, Tensor] = dict(network.state_dict())
        # In float32, also of weights in half precision: small steps would be lost.
        self._average = {
            name: tensor.detach().astype("float32").clone()
            for name, tensor in self._weights.items()
        }

    @property
    def tensors(self) -> list[Tensor]:
        """The average, float32, in the order of the network's state dict."""
        return list(self._average.values())

    def update(self, masters: Optional[Mapping[str, Tensor]] = None) -> None:
        """Take a step towards the present weights.

        Args:
            masters: float32 weights by the names of the parameters, which an optimizer keeps beside
                those in half precision. Steps smaller than a half-precision rounding are in these
                alone.
        """
        masters = masters or {}
        self.updates += 1
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        with paddle.no_grad():
            for name, tensor in self._weights.items():
                average = self._average[name]
                weights = masters.get(tensor.name, tensor).astype("float32")
                average.add_((weights - average) * (1.0 - decay))

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
