"""How far a training is, how fast it goes, and when it will end.

A pace is a callback that measures; schedules, progress lines and budgets read it.
"""

from __future__ import annotations

import math
import time
from typing import Callable, Optional

from paddle.callbacks import Callback


class Progress(Callback):
    """Measures a training.

    Args:
        validation_images (int): images of one evaluation during training.
        evaluations (int): how many evaluations there will be.
        test_images (int): images to evaluate when training is over.
        clock (callable): seconds, never going backwards. Default: ``time.perf_counter``.
    """

    #: What one turn of training and evaluation is called.
    unit = "epoch"

    def __init__(
        self,
        *,
        validation_images: int = 0,
        evaluations: int = 0,
        test_images: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.validation_images = validation_images
        self.evaluations = evaluations
        self.test_images = test_images
        self.clock = clock
        self.steps = 0
        self.images = 0
        self.train_seconds = 0.0
        self.evaluated = 0
        self.rounds_done = 0
        # Of an image in evaluation: what the network takes, and how long it waits for the loader.
        self._seconds_per_eval_image: Optional[float] = None
        self._wait_per_eval_image = 0.0
        # Steps are timed by an exponential mean, so that a burst of load elsewhere on the machine
        # is forgotten, and the first step, which allocates everything, counts little.
        self._step_seconds: Optional[float] = None
        self._step_images = 0.0
        self._elapsed_before = 0.0
        self._began: Optional[float] = None
        self._mark = 0.0
        self._eval_began = self._eval_mark = self._eval_batch_began = 0.0
        self._eval_timed = (0.0, 0.0, 0)

    # -- what others read ------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """The share of the training that is done, 0 to 1."""
        raise NotImplementedError

    @property
    def elapsed(self) -> float:
        """Seconds since training began, interruptions not counted."""
        running = self.clock() - self._began if self._began is not None else 0.0
        return self._elapsed_before + running

    @property
    def images_per_second(self) -> float:
        """Current speed of training steps, evaluation not counted; 0 before the first step."""
        return self._step_images / self._step_seconds if self._step_seconds else 0.0

    @property
    def remaining(self) -> Optional[float]:
        """Expected seconds until everything is over, the final evaluation included."""
        raise NotImplementedError

    def round_is_over(self) -> bool:
        """Whether the loader should end the present round before it has run out."""
        return False

    @property
    def time_is_up(self) -> bool:
        """Whether the training should end after the present round, whatever was planned."""
        return False

    @property
    def needs_more(self) -> bool:
        """Whether a loader that has run out in mid-round should start over."""
        return False

    # -- what it measures ------------------------------------------------------------------

    def begin(self) -> None:
        """Start the clock, where something worth counting comes before the first step."""
        if self._began is None:
            self._began = self.clock()

    def evaluation_took(self, seconds: float, images: int) -> None:
        """Learn the speed of evaluation, loading not counted."""
        self._seconds_per_eval_image = seconds / max(images, 1)

    def on_train_begin(self, logs: Optional[dict] = None) -> None:
        """Start the clock."""
        self.begin()

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Begin timing steps."""
        self._mark = self.clock()

    def on_train_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Count a step."""
        now = self.clock()
        seconds, images = now - self._mark, logs["batch_size"]
        self._mark = now
        self.steps += 1
        self.images += images
        self.train_seconds += seconds
        if self._step_seconds is None or self.steps == 2:
            self._step_seconds, self._step_images = seconds, images
        else:
            keep = min(1 - 1 / self.steps, 0.97)
            self._step_seconds = keep * self._step_seconds + (1 - keep) * seconds
            self._step_images = keep * self._step_images + (1 - keep) * images

    def on_epoch_end(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Count an epoch, or a round of a budgeted run."""
        self.rounds_done += 1

    def on_eval_begin(self, logs: Optional[dict] = None) -> None:
        """Begin timing an evaluation."""
        self._eval_began = self._eval_mark = self._eval_batch_began = self.clock()
        self._eval_timed = (0.0, 0.0, 0)

    def on_eval_batch_begin(self, step: int, logs: Optional[dict] = None) -> None:
        """Begin timing the network: the batch has been loaded."""
        self._eval_batch_began = self.clock()

    def on_eval_batch_end(self, step: int, logs: Optional[dict] = None) -> None:
        """Time a batch. The first one allocates, which a larger evaluation does no more often."""
        now = self.clock()
        if step > 0:
            seconds, waited, images = self._eval_timed
            self._eval_timed = (
                seconds + now - self._eval_batch_began,
                waited + self._eval_batch_began - self._eval_mark,
                images + logs["batch_size"],
            )
        self._eval_mark = now

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Learn how long an evaluation takes."""
        self.evaluated += 1
        seconds, waited, images = self._eval_timed
        if images:
            # Files are decoded once and then kept in memory; those of the test set come fresh.
            self._wait_per_eval_image = max(self._wait_per_eval_image, waited / images)
            self.evaluation_took(seconds, images)
        elif self.validation_images:
            self.evaluation_took(self.clock() - self._eval_began, self.validation_images)

    @property
    def evaluations_to_come(self) -> float:
        """Expected seconds of the evaluations during training that are still to come."""
        return max(self.evaluations - self.evaluated, 0) * self._eval_seconds(
            self.validation_images
        )

    def _eval_seconds(self, images: int) -> float:
        return images * self._seconds_per_image

    @property
    def _seconds_per_image(self) -> float:
        """Seconds that an image takes in evaluation, loading counted; 0 while unknown."""
        return (self._seconds_per_eval_image or 0.0) + self._wait_per_eval_image

    # -- resuming --------------------------------------------------------------------------

    _KEPT = (
        "steps",
        "images",
        "train_seconds",
        "evaluated",
        "rounds_done",
        "_seconds_per_eval_image",
        "_wait_per_eval_image",
    )

    #: Not in checkpoints of the first versions.
    _KEPT_LATER = frozenset({"_wait_per_eval_image", "_seconds_between_rounds"})

    def state(self) -> dict:
        """Return what a later process needs to go on counting (JSON types)."""
        return {
            "unit": self.unit,
            "elapsed": self.elapsed,
            **{name: getattr(self, name) for name in self._KEPT},
        }

    def load_state(self, state: dict) -> None:
        """Go on from :meth:`state`."""
        if state["unit"] != self.unit:
            raise ValueError(f"the run so far went by {state['unit']}s, and now by {self.unit}s")
        values = {name: state[name] for name in ("elapsed", *self._KEPT) if name in state}
        missing = {"elapsed", *self._KEPT} - set(values) - self._KEPT_LATER
        if missing:
            raise KeyError(min(missing))
        for name, value in values.items():
            unknown_yet = value is None and name == "_seconds_per_eval_image"
            if not unknown_yet and not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value!r}")
        self._elapsed_before = values.pop("elapsed")
        for name, value in values.items():
            setattr(self, name, value)


class StepPlan(Progress):
    """The pace of a training of a fixed number of steps."""

    def __init__(self, total_steps: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.total_steps = total_steps

    @property
    def progress(self) -> float:
        """Steps done over steps in all."""
        return min(self.steps / self.total_steps, 1.0)

    @property
    def remaining(self) -> Optional[float]:
        """Steps to come at the present speed, and the evaluations to come at theirs."""
        if self._step_seconds is None:
            return None
        steps = max(self.total_steps - self.steps, 0) * self._step_seconds
        return steps + self.evaluations_to_come + self._eval_seconds(self.test_images)


class TimeBudget(Progress):
    """The pace of a training that must end at a given time.

    Progress is the share used of the time that training steps may take: the budget less what the
    evaluations during and after training need, at their measured speed. The schedule follows this
    progress, so the learning rate arrives at its end exactly when the time does, whatever the
    machine does in between. The training is cut into rounds of equal time; each ends with an
    evaluation.

    Args:
        budget (float): seconds of wall time, from the beginning to the end of the evaluation on
            the test set.
    """

    unit = "round"
    #: Share of the budget that evaluations during training may use.
    EVALUATION_SHARE = 0.1
    MOST_ROUNDS = 20
    #: Share of the budget that the evaluation on the test set may use; where the whole set needs
    #: more, a part of it is evaluated, see `test_images_that_fit`.
    MOST_FOR_TEST = 0.4
    #: An accuracy of fewer images would say nothing; they are evaluated whatever the time.
    FEWEST_TEST_IMAGES = 200
    #: Part of the estimate for the test set that is added to it: the same evaluation takes now
    #: more, now less, on a machine that has other things to do.
    MARGIN = 0.1
    #: A new look at the speed of evaluation takes this share of the test images.
    LOOK_SHARE = 0.01

    def __init__(self, budget: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.budget = budget
        self.rounds = 1
        self._left_at_look = math.inf
        # From the end of an evaluation to the next round: weights and checkpoints are written.
        self._seconds_between_rounds = 0.0
        self._evaluation_ended: Optional[float] = None

    _KEPT = (
        *Progress._KEPT, "rounds", "evaluations", "validation_images", "_seconds_between_rounds",
    )  # fmt: skip

    def plan(self, total_validation_images: int) -> None:
        """Decide on rounds and validation images, from the measured speed of evaluation.

        All validation images are used where that leaves at least two evaluations within 10 % of
        the budget; otherwise two evaluations share that time, on fewer images.
        """
        time_for_evaluation = self.EVALUATION_SHARE * self.budget
        full = self._eval_seconds(total_validation_images)
        if full == 0:
            rounds, images = self.MOST_ROUNDS // 2, 0
        elif 2 * full <= time_for_evaluation:
            rounds = min(int(time_for_evaluation / full), self.MOST_ROUNDS)
            images = total_validation_images
        else:
            rounds = 2
            images = int(total_validation_images * time_for_evaluation / (2 * full))
        self.rounds, self.validation_images = rounds, images
        self.evaluations = rounds if images else 0

    @property
    def training_time(self) -> float:
        """Seconds that training steps may take in all, by the present estimates."""
        other = self.elapsed - self.train_seconds - self._since_mark()
        files = max(self.rounds - self.rounds_done, 0) * self._seconds_between_rounds
        return max(self.budget - other - self._kept - files, 1e-3)

    @property
    def _kept(self) -> float:
        # Seconds for all evaluations that are still to come.
        return self.evaluations_to_come + self.test_seconds

    @property
    def test_seconds(self) -> float:
        """Seconds kept for the evaluation on the test set."""
        whole = self._eval_seconds(self.test_images) * (1 + self.MARGIN)
        return min(whole, self.MOST_FOR_TEST * self.budget)

    # -- looking again ---------------------------------------------------------------------

    def should_look(self) -> bool:
        """Whether to measure the speed of evaluation anew, before the next step.

        The machine's load may have changed since the last evaluation. A look can still save the
        test set while there is training time to take from: where evaluation has become f times as
        slow, f - 1 times the time kept for it is needed. So it is looked when the training time
        that is left is as long as that, and whenever it has halved since.
        """
        left, kept = self.training_time - self.train_seconds, self._kept
        return kept / 10 < left <= min(kept, self._left_at_look / 2)

    @property
    def look_images(self) -> int:
        """How many images to look at: enough to be typical, too few to cost anything."""
        return min(max(round(self.LOOK_SHARE * self.test_images), 16), self.test_images)

    def evaluation_took(self, seconds: float, images: int) -> None:
        """Learn the speed of evaluation, loading not counted."""
        super().evaluation_took(seconds, images)
        self._left_at_look = self.training_time - self.train_seconds

    def looked(self, seconds: float, images: int) -> None:
        """Learn the speed of evaluation between two steps; that time is no training time."""
        self._mark = self.clock()
        self.evaluation_took(seconds, images)

    def test_images_that_fit(self) -> int:
        """Return how many test images can be evaluated in the time that is left.

        All of them where at most a tenth is in question: a round number is worth some seconds.
        """
        if not self._seconds_per_image:
            return self.test_images
        fit = int((self.budget - self.elapsed) / self._seconds_per_image)
        if fit >= 0.9 * self.test_images:
            return self.test_images
        return max(fit, min(self.FEWEST_TEST_IMAGES, self.test_images))

    def _since_mark(self) -> float:
        # Time since the last finished step belongs to the step under way, not to "other".
        return max(self.clock() - self._mark, 0.0) if self._training else 0.0

    _training = False

    def on_epoch_begin(self, epoch: int, logs: Optional[dict] = None) -> None:
        """Begin timing steps."""
        super().on_epoch_begin(epoch, logs)
        self._training = True
        if self._evaluation_ended is not None:
            between = self._mark - self._evaluation_ended
            # The longest: the best weights are not written every time.
            self._seconds_between_rounds = max(self._seconds_between_rounds, between)
            self._evaluation_ended = None

    def on_eval_begin(self, logs: Optional[dict] = None) -> None:
        """Begin timing an evaluation; what it takes is no training time."""
        super().on_eval_begin(logs)
        self._training = False

    def on_eval_end(self, logs: Optional[dict] = None) -> None:
        """Learn how long an evaluation takes."""
        super().on_eval_end(logs)
        self._evaluation_ended = self.clock()

    @property
    def progress(self) -> float:
        """Training time used over training time there is."""
        return min(self.train_seconds / self.training_time, 1.0)

    @property
    def remaining(self) -> Optional[float]:
        """What is left of the budget."""
        return max(self.budget - self.elapsed, 0.0)

    def round_is_over(self) -> bool:
        """Whether the round's share of the time is used up, to the nearest whole step."""
        end = (self.rounds_done + 1) / self.rounds * self.training_time
        return self.train_seconds + 0.5 * (self._step_seconds or 0.0) >= end

    @property
    def time_is_up(self) -> bool:
        """Whether another step would take more time than there is, to the nearest whole step."""
        return self.train_seconds + 0.5 * (self._step_seconds or 0.0) >= self.training_time

    @property
    def needs_more(self) -> bool:
        """A round of a budgeted run lasts its time, however often the data must be read."""
        return True
