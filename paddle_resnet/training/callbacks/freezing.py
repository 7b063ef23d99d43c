"""Parts of a network that are held still at first."""

from __future__ import annotations

from typing import Optional

from paddle import nn
from paddle.callbacks import Callback

from ...errors import ConfigError, did_you_mean
from ..loop.progress import Progress

#: Stands for all parts at once.
BACKBONE = "backbone"


class Freezing(Callback):
    """Freezes parts of the backbone, with their running statistics, until their time has come.

    What is frozen depends on the progress alone, so there is no state to save. Make the optimizer
    first, for all parameters: it leaves frozen ones alone, decay and momentum included.

    Args:
        network (Network): one of this package's.
        until (dict): by part, the share of the training until which it is frozen; ``backbone``
            stands for all parts that are not named themselves.
        pace (Progress): where the progress is read.

    Raises:
        ConfigError: the network has no such part.
    """

    def __init__(self, network: nn.Layer, until: dict[str, float], pace: Progress) -> None:
        super().__init__()
        parts = getattr(network, "stages", [])
        for name in until:
            if name not in (BACKBONE, *parts):
                known = [BACKBONE, *parts]
                raise ConfigError(
                    f"finetune.frozen_until names '{name}', but the network has "
                    f"{', '.join(known)}.{did_you_mean(name, known)}"
                )
        self.network = network
        self.until = {name: until.get(name, until.get(BACKBONE, 0.0)) for name in parts}
        self.pace = pace
        self.frozen: Optional[set[str]] = None

    def on_train_batch_begin(self, step: int, logs: Optional[dict] = None) -> None:
        """Freeze and thaw what it is time for."""
        if not self.model.is_between_updates:
            return  # the gradients of one update belong to the same parameters
        progress = self.pace.progress
        frozen = {name for name, until in self.until.items() if progress < until or until == 1.0}
        if frozen != self.frozen:
            for name in self.until:
                self.network.set_trainable(name, name not in frozen)
            self.frozen = frozen
