"""A training that must end at a given time."""

from __future__ import annotations

from typing import Any, Optional

from .progress import Progress
from .speed import SpeedMonitor
from .state_values import count


class TimeBudget:
    """Plans a training of ``budget`` seconds of wall time, final test included.

    The training time is the budget less what everything else needs, at its measured speed; it is
    estimated anew whenever it is read. The fraction is ``train_seconds / train_time``: the
    schedule follows it, so that the learning rate arrives at its end when the time does, whatever
    the machine does in between. The training is cut into rounds of equal training time; each ends
    with an evaluation.

    Args:
        budget (float): seconds from the first step to the end of the final test.
        speed (SpeedMonitor): of this training.
        test_images (int): of the final test. Default: 0, there is none.
    """

    unit = "round"
    #: Part of the budget for evaluations during training.
    EVALUATION_PART = 0.1
    MAX_ROUNDS = 20
    #: Largest part of the budget for the final test; see `test_images_that_fit`.
    MAX_TEST_PART = 0.4
    #: Tested whatever the time: the accuracy of fewer images has no meaning.
    MIN_TEST_IMAGES = 200
    #: Added to the estimate of the test's time, as a part of it: the speed of evaluation varies
    #: when other processes use the machine.
    MARGIN = 0.25

    def __init__(self, budget: float, speed: SpeedMonitor, *, test_images: int = 0) -> None:
        self.budget = budget
        self.speed = speed
        self.test_images = test_images
        #: Planned rounds, under the name that all plans have.
        self.epochs = 1
        self.validation_images = 0

    def plan_rounds(self, validation_images: int) -> None:
        """Set the number of rounds and of validation images, from the speed of evaluation.

        All validation images are used if at least two evaluations of them fit into 10 % of the
        budget; otherwise two evaluations share that time, with fewer images.
        """
        available = self.EVALUATION_PART * self.budget
        needed = self.speed.eval_seconds(validation_images)
        self.validation_images = validation_images
        if needed == 0:
            self.epochs = self.MAX_ROUNDS // 2
            self.validation_images = 0
        elif 2 * needed <= available:
            self.epochs = min(int(available / needed), self.MAX_ROUNDS)
        else:
            self.epochs = 2
            self.validation_images = int(validation_images * available / (2 * needed))

    # -- time ------------------------------------------------------------------------------

    @property
    def test_seconds(self) -> float:
        """Seconds reserved for the final test."""
        needed = self.speed.eval_seconds(self.test_images) * (1 + self.MARGIN)
        return min(needed, self.MAX_TEST_PART * self.budget)

    def train_time(self, progress: Progress) -> float:
        """Return the seconds that training steps may take in all, by the present estimates."""
        rounds_left = max(self.epochs - progress.epoch, 0)
        outside_steps = progress.elapsed - progress.train_seconds - self.speed.unfinished_step
        evaluations = rounds_left * self.speed.eval_seconds(self.validation_images)
        writing = rounds_left * self.speed.writing_seconds
        reserved = outside_steps + evaluations + writing + self.test_seconds
        return max(self.budget - reserved, 1e-3)

    def test_images_that_fit(self, progress: Progress) -> int:
        """Return how many test images can be evaluated in the time that is left.

        All of them if at least 90 % fit: a complete test is worth some seconds.
        """
        if not self.speed.knows_evaluation:
            return self.test_images
        fit = int((self.budget - progress.elapsed) / self.speed.eval_seconds(1))
        if fit >= 0.9 * self.test_images:
            return self.test_images
        return max(fit, min(self.MIN_TEST_IMAGES, self.test_images))

    # -- Plan ------------------------------------------------------------------------------

    def fraction(self, progress: Progress) -> float:
        """Return training time used over training time available."""
        return min(progress.train_seconds / self.train_time(progress), 1.0)

    def is_last_step(self, progress: Progress) -> bool:
        """Return False: only the clock decides."""
        return False

    def ends_epoch(self, progress: Progress) -> bool:
        """Return whether the round's part of the training time is used, to the nearest step."""
        end = (progress.epoch + 1) / self.epochs * self.train_time(progress)
        return progress.train_seconds + 0.5 * (self.speed.step_seconds or 0.0) >= end

    def is_over(self, progress: Progress) -> bool:
        """Return whether another step would take more time than is left, to the nearest step."""
        used = progress.train_seconds + 0.5 * (self.speed.step_seconds or 0.0)
        return used >= self.train_time(progress)

    def eta(self, progress: Progress) -> Optional[float]:
        """Return what is left of the budget."""
        return max(self.budget - progress.elapsed, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return the plan that a resumed run keeps (JSON types)."""
        return {
            "rounds": self.epochs,
            "validation_images": self.validation_images,
            "speed": self.speed.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            ValueError: there are no rounds, or a number is negative or not finite.
        """
        self.epochs = count(state, "rounds")
        self.validation_images = count(state, "validation_images")
        if self.epochs < 1:
            raise ValueError("rounds is 0")
        self.speed.load_state_dict(state["speed"])
