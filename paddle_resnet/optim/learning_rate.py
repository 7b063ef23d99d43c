"""The learning rate: the one place that sets it."""

from __future__ import annotations

from typing import Any

from paddle.optimizer import Optimizer

from .schedules import Schedule


class LearningRate:
    """Sets ``base * plateau_factor * schedule(fraction)``.

    Multipliers of single parameters are theirs, see :mod:`paddle_resnet.optim.lr_multipliers`.

    Args:
        optimizer: whose rate is set.
        base (float): the peak rate.
        schedule: turns the fraction of the training, 0 to 1, to a part of the peak rate.
    """

    def __init__(self, optimizer: Optimizer, base: float, schedule: Schedule) -> None:
        self.optimizer = optimizer
        self.base = base
        self.schedule = schedule
        #: Product of the drops of a plateau.
        self.plateau_factor = 1.0

    def at(self, fraction: float) -> float:
        """Return the rate at a fraction of the training, 0 to 1."""
        return self.base * self.plateau_factor * self.schedule(fraction)

    def set(self, fraction: float) -> None:
        """Set the rate of the next update."""
        self.optimizer.set_lr(self.at(fraction))

    def state_dict(self) -> dict[str, Any]:
        """Return ``plateau_factor``: all else depends on the recipe and the fraction."""
        return {"plateau_factor": self.plateau_factor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            ValueError: the factor is not from 0 to 1.
        """
        factor = float(state["plateau_factor"])
        if not 0 <= factor <= 1:
            raise ValueError(f"plateau_factor is {factor}")
        self.plateau_factor = factor
