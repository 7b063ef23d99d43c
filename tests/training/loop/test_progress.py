"""Paces on a clock of our own: hours pass in microseconds, at speeds that change."""

import random

import pytest

from paddle_resnet.training.loop.progress import StepPlan, TimeBudget


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_steps_longer_than_a_round_do_not_break_the_budget():
    """Few long steps: the training ends early rather than late."""
    for budget, step in ((120, 13), (60, 7), (60, 31)):
        clock = Clock()
        pace = TimeBudget(budget, test_images=500, clock=clock)
        drive(pace, clock, lambda step=step: step, lambda: 0.004)
        assert pace.elapsed <= budget + step / 2 + 0.05 * budget


def drive(
    pace, clock, step_seconds, eval_image_seconds, batch=64, epoch_steps=10**9, files=0.3, test=True
):
    """Play the part of `fit` and of the job: rounds of steps, evaluations, the test set."""
    pace.begin()
    clock.now += 3 * eval_image_seconds() * 100  # measuring takes time too
    pace.evaluation_took(eval_image_seconds() * 100, 100)
    if isinstance(pace, TimeBudget):
        pace.plan(5000)
        rounds = pace.rounds
    else:
        rounds = pace.evaluations
    pace.on_train_begin()
    progress = [pace.progress]
    for epoch in range(rounds):
        pace.on_epoch_begin(epoch)
        for step in range(epoch_steps):
            clock.now += step_seconds()
            pace.on_train_batch_end(step, {"batch_size": batch})
            if isinstance(pace, TimeBudget) and pace.should_look():
                clock.now += 2 * pace.look_images * eval_image_seconds()
                pace.looked(pace.look_images * eval_image_seconds(), pace.look_images)
            progress.append(pace.progress)
            if pace.round_is_over():
                break
        pace.on_eval_begin()
        clock.now += pace.validation_images * eval_image_seconds()
        pace.on_eval_end()
        pace.on_epoch_end(epoch)
        clock.now += files
        if pace.time_is_up:
            break
    if test:
        clock.now += pace.test_images * eval_image_seconds()
    return progress


@pytest.mark.parametrize("budget", [60, 300, 1200, 36000])
@pytest.mark.parametrize("steps", [40, 400, 4000])
def test_a_budget_is_kept_within_5_percent(budget, steps):
    clock = Clock()
    noise = random.Random(budget)
    pace = TimeBudget(budget, test_images=10000, clock=clock)
    drive(pace, clock, lambda: budget / steps * noise.uniform(0.8, 1.3), lambda: budget / 1e5)
    assert pace.elapsed == pytest.approx(budget, rel=0.05)


def test_a_budget_is_kept_when_the_machine_becomes_half_as_fast():
    clock = Clock()
    pace = TimeBudget(1200, test_images=10000, clock=clock)
    slow = lambda: 2 if clock.now > 1500 else 1  # noqa: E731
    drive(pace, clock, lambda: 0.5 * slow(), lambda: 0.005 * slow())
    assert pace.elapsed == pytest.approx(1200, rel=0.05)


def test_evaluation_that_became_slower_alone_cuts_no_test_set():
    """A run of ours, 5 minutes of ResNet-50: evaluation went from 660 to 460 images a second after
    the first of two, steps did not, and after the second one 470 MB of files were written."""
    clock = Clock()
    pace = TimeBudget(300, test_images=10000, clock=clock)
    speed = lambda: 660 if clock.now < 1150 else 460  # noqa: E731
    drive(pace, clock, lambda: 0.35, lambda: 1 / speed(), files=4, test=False)
    assert pace.test_images_that_fit() == 10000
    assert pace.elapsed + 10000 / 460 == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize(
    ("factor", "since"),
    [(0.5, 0.2), (0.5, 0.6), (1.3, 0.2), (1.3, 0.75), (2.0, 0.2), (2.0, 0.5), (2.0, 0.64)],
)
def test_the_test_set_is_whole_when_the_load_changes_before_the_last_looks(factor, since):
    """The test takes 11 % of the time at first; a look that comes too late finds none to take."""
    clock = Clock()
    pace = TimeBudget(600, test_images=5000, clock=clock)
    load = lambda: factor if clock.now > 1000 + since * 600 else 1  # noqa: E731
    cost = 600 * 0.11 / 5000
    drive(pace, clock, lambda: 0.5 * load(), lambda: cost * load(), test=False)
    assert pace.test_images_that_fit() == 5000
    clock.now += 5000 * cost * load()
    assert pace.elapsed == pytest.approx(600, rel=0.05)


def test_looks_are_few_and_cheap_and_no_training_time():
    clock = Clock()
    pace = TimeBudget(600, test_images=10000, clock=clock)
    pace.begin()
    pace.evaluation_took(1, 100)
    pace.plan(0)
    pace.on_epoch_begin(0)
    left, looks = [], 0.0
    while not pace.time_is_up:
        clock.now += 1
        pace.on_train_batch_end(0, {"batch_size": 8})
        if pace.should_look():
            left.append(pace.training_time - pace.train_seconds)
            clock.now += 2
            looks += 2
            pace.looked(1, 100)
    assert pace.train_seconds == pytest.approx(pace.elapsed - looks)
    # 110 s are kept for the test.
    assert left == pytest.approx([110, 54, 26, 12], abs=1.5)
    assert looks < 0.015 * 600


def test_waiting_for_files_counts_and_is_not_forgotten_once_they_are_in_memory():
    clock = Clock()
    pace = TimeBudget(100, test_images=100, clock=clock)
    pace.begin()

    def evaluate(wait, seconds):
        pace.on_eval_begin()
        for step in range(3):
            clock.now += wait
            pace.on_eval_batch_begin(step)
            clock.now += seconds
            pace.on_eval_batch_end(step, {"batch_size": 10})
        pace.on_eval_end()

    evaluate(wait=1.0, seconds=0.5)
    assert pace.test_seconds == pytest.approx(15 * 1.1)
    evaluate(wait=0.0, seconds=0.7)
    assert pace.test_seconds == pytest.approx(17 * 1.1)
    pace.looked(9, 100)
    assert pace.test_seconds == pytest.approx(19 * 1.1)


def test_a_checkpoint_of_the_first_versions_is_still_read():
    state = TimeBudget(100, clock=Clock()).state()
    for name in TimeBudget._KEPT_LATER:
        del state[name]
    TimeBudget(100, clock=Clock()).load_state(state)
    del state["rounds"]
    with pytest.raises(KeyError, match="rounds"):
        TimeBudget(100, clock=Clock()).load_state(state)


def test_progress_of_a_budget_climbs_from_0_to_nearly_1():
    clock = Clock()
    pace = TimeBudget(300, test_images=10000, clock=clock)
    progress = drive(pace, clock, lambda: 0.5, lambda: 0.004)
    assert progress[0] == 0
    assert progress[-1] == pytest.approx(1, abs=0.02)
    # Estimates may be corrected, but never by much: the learning rate must not jump.
    assert all(b - a > -0.02 for a, b in zip(progress, progress[1:]))


def test_evaluations_during_training_take_a_tenth_of_the_budget_at_most():
    for cost in (0.0001, 0.001, 0.01, 0.05):
        pace = TimeBudget(1200, test_images=1000, clock=Clock())
        pace.evaluation_took(cost * 100, 100)
        pace.plan(5000)
        assert pace.evaluations * pace.validation_images * cost <= 120 * 1.001
        assert pace.evaluations >= 2


def test_a_budget_without_validation_images_has_rounds_all_the_same():
    clock = Clock()
    pace = TimeBudget(100, test_images=0, clock=clock)
    pace.evaluation_took(1, 1000)
    pace.plan(0)
    assert (pace.validation_images, pace.evaluations) == (0, 0)
    pace.begin()
    steps = []
    for epoch in range(pace.rounds):
        pace.on_epoch_begin(epoch)
        count = 0
        while True:
            clock.now += 0.1
            pace.on_train_batch_end(count, {"batch_size": 1})
            count += 1
            if pace.round_is_over():
                break
        steps.append(count)
        pace.on_epoch_end(epoch)
    assert pace.train_seconds == pytest.approx(100, rel=0.02)
    assert max(steps) - min(steps) <= 2


def test_a_test_set_that_is_too_large_for_the_budget_gets_less_than_half_of_it():
    clock = Clock()
    pace = TimeBudget(60, test_images=10000, clock=clock)
    drive(pace, clock, lambda: 0.5, lambda: 0.01)  # 100 s for the whole test set
    clock.now -= 100  # `drive` has evaluated it whole
    assert pace.elapsed == pytest.approx(36, rel=0.05)
    assert pace.test_images_that_fit() == pytest.approx(2400, rel=0.05)


def test_a_test_set_that_nearly_fits_is_evaluated_whole():
    clock = Clock()
    pace = TimeBudget(100, test_images=1000, clock=clock)
    pace.begin()
    pace.evaluation_took(1, 100)
    clock.now += 90.9
    assert pace.test_images_that_fit() == 1000
    clock.now += 2
    assert pace.test_images_that_fit() == pytest.approx(710, abs=2)
    clock.now += 1000
    assert pace.test_images_that_fit() == pace.FEWEST_TEST_IMAGES


def test_epochs_expect_their_end():
    clock = Clock()
    pace = StepPlan(30, validation_images=100, evaluations=3, test_images=200, clock=clock)
    assert pace.remaining is None
    pace.begin()
    pace.evaluation_took(1, 100)
    pace.on_epoch_begin(0)
    for step in range(10):
        clock.now += 2
        pace.on_train_batch_end(step, {"batch_size": 64})
    assert pace.progress == pytest.approx(1 / 3)
    assert pace.images_per_second == pytest.approx(32)
    assert pace.remaining == pytest.approx(20 * 2 + 3 * 1 + 2)


def test_state_goes_on_in_another_process():
    clock = Clock()
    first = TimeBudget(100, test_images=10, clock=clock)
    drive(first, clock, lambda: 1.0, lambda: 0.001, epoch_steps=5)
    second = TimeBudget(100, test_images=10, clock=Clock())
    second.load_state(first.state())
    second.begin()
    assert second.elapsed == pytest.approx(first.elapsed)
    assert (second.steps, second.rounds_done) == (first.steps, first.rounds_done)
