"""Speed of training steps and of evaluation, measured while they run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

from .state_values import finite

#: Part of the mean step that stays when a step is added to it: about the last 30 steps count.
_KEEP = 0.97


class SpeedMonitor:
    """Measures seconds per step and seconds per evaluated image.

    Steps are averaged by an exponential mean, so that a burst of load elsewhere on the machine is
    forgotten. The first step allocates memory and is replaced by the second.

    Args:
        clock (callable): seconds, never going backwards. Default: ``time.perf_counter``.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        #: Mean duration of a step; None before the first one.
        self.step_seconds: Optional[float] = None
        #: Longest time between an evaluation and the next epoch: files are written.
        self.writing_seconds = 0.0
        self._step_images = 0.0
        self._steps = 0
        #: End of the step before; None outside of an epoch's steps.
        self._mark: Optional[float] = None
        self._evaluation_ended: Optional[float] = None
        # Per image in evaluation: computing (None while unknown), and waiting for the loader.
        self._eval_compute: Optional[float] = None
        self._eval_wait = 0.0

    # -- training --------------------------------------------------------------------------

    @property
    def images_per_second(self) -> float:
        """Present speed of training steps; 0 before the first one."""
        return self._step_images / self.step_seconds if self.step_seconds else 0.0

    @property
    def unfinished_step(self) -> float:
        """Seconds of the step under way; 0 between epochs."""
        return 0.0 if self._mark is None else max(self.clock() - self._mark, 0.0)

    def start_epoch(self) -> None:
        """Start timing steps."""
        self._mark = self.clock()
        if self._evaluation_ended is not None:
            writing = self._mark - self._evaluation_ended
            self.writing_seconds = max(self.writing_seconds, writing)
            self._evaluation_ended = None

    def count_step(self, images: int) -> float:
        """Count a step of so many images; return its seconds."""
        now = self.clock()
        seconds = now - (now if self._mark is None else self._mark)
        self._mark = now
        self._steps += 1
        if self._steps <= 2:
            self.step_seconds, self._step_images = seconds, float(images)
        else:
            keep = min(1 - 1 / self._steps, _KEEP)
            self.step_seconds = keep * self.step_seconds + (1 - keep) * seconds
            self._step_images = keep * self._step_images + (1 - keep) * images
        return seconds

    def skip(self) -> None:
        """Leave the time since the last step out of the next one: a checkpoint was written."""
        self._mark = self.clock()

    def end_epoch(self) -> None:
        """Stop timing steps; what follows is not training time."""
        self._mark = None

    # -- evaluation ------------------------------------------------------------------------

    def eval_seconds(self, images: int) -> float:
        """Return the expected seconds of an evaluation, loading included; 0 while unknown."""
        return images * ((self._eval_compute or 0.0) + self._eval_wait)

    @property
    def knows_evaluation(self) -> bool:
        """Whether an evaluation was measured."""
        return self.eval_seconds(1) > 0

    def evaluation_took(self, seconds: float, images: int) -> None:
        """Set the speed of evaluation, loading not counted."""
        self._eval_compute = seconds / max(images, 1)

    def time_evaluation(self, batches: Iterable[tuple], ranks: int = 1) -> Iterator[tuple]:
        """Yield the batches of an evaluation, and measure the time that each takes.

        The first batch allocates memory, which a larger evaluation does no more often: it counts
        only if there is no other.

        Args:
            batches: ``(images, labels)``.
            ranks: how many ranks evaluate about as many images at the same time.
        """
        began = mark = self.clock()
        computed = waited = 0.0
        images = first = 0
        for index, batch in enumerate(batches):
            loaded = self.clock()
            yield batch
            now = self.clock()
            if index:
                computed += now - loaded
                waited += loaded - mark
                images += ranks * len(batch[1])
            else:
                first = ranks * len(batch[1])
            mark = now
        if images:
            # Files are decoded once and then kept in memory; those of the test set come fresh.
            self._eval_wait = max(self._eval_wait, waited / images)
            self.evaluation_took(computed, images)
        elif first:
            self.evaluation_took(self.clock() - began, first)
        self._evaluation_ended = self.clock()

    # -- resume ----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what a launch cannot measure before it needs it (JSON types)."""
        return {
            "step_seconds": self.step_seconds,
            "eval_wait": self._eval_wait,
            "writing_seconds": self.writing_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            ValueError: a number is negative or not finite.
        """
        if state["step_seconds"] is not None:
            self.step_seconds = finite(state, "step_seconds")
        self._eval_wait = finite(state, "eval_wait")
        self.writing_seconds = finite(state, "writing_seconds")
