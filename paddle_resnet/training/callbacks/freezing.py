"""Stages of a network that are frozen at first."""

from __future__ import annotations

from typing import Optional

from paddle import nn

from ...errors import ConfigError, did_you_mean
from ..loop.callback import Callback
from ..loop.train_state import TrainState

#: Stands for all stages at once.
BACKBONE = "backbone"


class Freezing(Callback):
    """Freezes stages of the backbone, with their BN statistics, for the first part of a training.

    What is frozen depends on the fraction alone, so there is nothing to save. The optimizer must
    be made first, for all parameters: it leaves frozen ones alone, decay and momentum included.

    Args:
        network (Network): one of this package's.
        until (dict): by stage, the fraction of the training until which it is frozen; ``backbone``
            stands for all stages that are not named themselves.

    Raises:
        ConfigError: the network has no such stage.
    """

    def __init__(self, network: nn.Layer, until: dict[str, float]) -> None:
        stages = getattr(network, "stages", [])
        for name in until:
            if name not in (BACKBONE, *stages):
                known = [BACKBONE, *stages]
                raise ConfigError(
                    f"finetune.unfreeze_at names '{name}', but the network has "
                    f"{', '.join(known)}.{did_you_mean(name, known)}"
                )
        self.network = network
        self.until = {name: until.get(name, until.get(BACKBONE, 0.0)) for name in stages}
        self.frozen: Optional[set[str]] = None

    def on_step_start(self, state: TrainState) -> None:
        """Freeze and unfreeze what it is time for."""
        if not state.is_between_updates:
            return  # the gradients of one update belong to the same parameters
        fraction = state.progress.fraction
        frozen = {name for name, until in self.until.items() if fraction < until or until == 1.0}
        if frozen != self.frozen:
            for name in self.until:
                self.network.set_trainable(name, name not in frozen)
            self.frozen = frozen
