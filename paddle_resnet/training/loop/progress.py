"""Counters of a training, and the fraction of its plan that is done."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional, Protocol

from .speed import SpeedMonitor
from .state_values import count, finite


class Plan(Protocol):
    """How long a training is: a number of steps (:class:`StepPlan`) or a time budget."""

    #: What the interval between two evaluations is called: ``epoch`` or ``round``.
    unit: str
    #: Planned number of such intervals.
    epochs: int

    def fraction(self, progress: Progress) -> float:
        """Return the part of the training that is done, 0 to 1."""

    def is_last_step(self, progress: Progress) -> bool:
        """Return whether the step under way is known to be the training's last one."""

    def ends_epoch(self, progress: Progress) -> bool:
        """Return whether the step just counted ends the epoch, though batches are left."""

    def is_over(self, progress: Progress) -> bool:
        """Return whether training ends with this epoch, whatever number of epochs was planned."""

    def eta(self, progress: Progress) -> Optional[float]:
        """Return the expected seconds to the end, final test included; None while unknown."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs (JSON types)."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""


class Progress:
    """Steps, images, epochs and seconds so far; part of every checkpoint.

    Args:
        plan (Plan): what the counters are compared with.
        clock (callable): seconds, never going backwards. Default: ``time.perf_counter``.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.perf_counter) -> None:
        self.plan = plan
        self.clock = clock
        self.step = 0
        #: Training images of all ranks, repetitions counted.
        self.images = 0
        #: Finished epochs, or rounds of a time budget.
        self.epoch = 0
        #: Seconds in training steps alone.
        self.train_seconds = 0.0
        #: Why training ends before the plan is fulfilled; empty if it does not.
        self.stop_reason = ""
        self._elapsed_before = 0.0
        self._started: Optional[float] = None

    @property
    def fraction(self) -> float:
        """The part of the training that is done, 0 to 1."""
        return self.plan.fraction(self)

    @property
    def eta(self) -> Optional[float]:
        """Expected seconds to the end, final test included; None while unknown."""
        return self.plan.eta(self)

    @property
    def elapsed(self) -> float:
        """Seconds since the clock was started; the time between two launches does not count."""
        running = self.clock() - self._started if self._started is not None else 0.0
        return self._elapsed_before + running

    def start_clock(self) -> None:
        """Start the clock, unless it runs already."""
        if self._started is None:
            self._started = self.clock()

    def count(self, images: int, seconds: float) -> None:
        """Count a step of so many images."""
        self.step += 1
        self.images += images
        self.train_seconds += seconds

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs (JSON types)."""
        return {
            "unit": self.plan.unit,
            "step": self.step,
            "images": self.images,
            "epoch": self.epoch,
            "train_seconds": self.train_seconds,
            "elapsed": self.elapsed,
            "stop_reason": self.stop_reason,
            "plan": self.plan.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            ValueError: it is of another kind of plan, or a number is negative or not finite.
        """
        if state["unit"] != self.plan.unit:
            raise ValueError(f"the run so far counted {state['unit']}s, and now {self.plan.unit}s")
        self.step = count(state, "step")
        self.images = count(state, "images")
        self.epoch = count(state, "epoch")
        self.train_seconds = finite(state, "train_seconds")
        self._elapsed_before = finite(state, "elapsed")
        self.stop_reason = str(state["stop_reason"])
        self.plan.load_state_dict(state["plan"])


class StepPlan:
    """A training of a fixed number of steps.

    Args:
        epochs (int): planned epochs.
        steps (int, optional): of the whole training; None where a loader does not know its
            length: the fraction then counts whole epochs.
        speed (SpeedMonitor, optional): where the ETA comes from. Default: there is none.
        validation_images (int): of the evaluation at the end of each epoch.
        test_images (int): of the evaluation after the last one.
    """

    unit = "epoch"

    def __init__(
        self,
        epochs: int,
        steps: Optional[int] = None,
        *,
        speed: Optional[SpeedMonitor] = None,
        validation_images: int = 0,
        test_images: int = 0,
    ) -> None:
        self.epochs = epochs
        self.steps = steps
        self.speed = speed
        self.validation_images = validation_images
        self.test_images = test_images

    def fraction(self, progress: Progress) -> float:
        """Return steps done over steps in all."""
        done, planned = (
            (progress.epoch, self.epochs) if self.steps is None else (progress.step, self.steps)
        )
        return min(done / planned, 1.0)

    def is_last_step(self, progress: Progress) -> bool:
        """Return whether the step under way is the last planned one."""
        return self.steps is not None and progress.step + 1 >= self.steps

    def ends_epoch(self, progress: Progress) -> bool:
        """Return whether no step is left."""
        return self.steps is not None and progress.step >= self.steps

    is_over = ends_epoch

    def eta(self, progress: Progress) -> Optional[float]:
        """Return the steps and evaluations to come, each at its present speed."""
        if self.steps is None or self.speed is None or self.speed.step_seconds is None:
            return None
        steps = max(self.steps - progress.step, 0) * self.speed.step_seconds
        evaluations = max(self.epochs - progress.epoch, 0)
        images = evaluations * self.validation_images + self.test_images
        return steps + self.speed.eval_seconds(images)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the recipe holds the plan."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing."""
