"""Counters, speed and the ETA of a training of a fixed number of steps."""

import pytest
from simulated import Clock

from paddle_resnet.training.loop.progress import Progress, StepPlan
from paddle_resnet.training.loop.speed import SpeedMonitor


def training(epochs=3, steps=30, **options):
    clock = Clock()
    speed = SpeedMonitor(clock)
    plan = StepPlan(epochs, steps, speed=speed, **options)
    return clock, speed, plan, Progress(plan, clock)


def step(clock, speed, progress, seconds=2, images=64):
    clock.now += seconds
    progress.count(images, speed.count_step(images))


def test_the_eta_is_that_of_steps_and_evaluations():
    clock, speed, _, progress = training(validation_images=100, test_images=200)
    assert progress.eta is None
    speed.evaluation_took(1, 100)
    speed.start_epoch()
    for _ in range(10):
        step(clock, speed, progress)
    assert progress.fraction == pytest.approx(1 / 3)
    assert speed.images_per_second == pytest.approx(32)
    assert progress.eta == pytest.approx(20 * 2 + 3 * 1 + 2)
    progress.epoch += 1
    assert progress.eta == pytest.approx(20 * 2 + 2 * 1 + 2)


def test_the_first_step_allocates_and_is_forgotten():
    clock, speed, _, progress = training()
    speed.start_epoch()
    step(clock, speed, progress, seconds=100)
    assert speed.images_per_second == pytest.approx(0.64)
    for _ in range(5):
        step(clock, speed, progress, seconds=1)
    assert speed.images_per_second == pytest.approx(64)
    assert progress.train_seconds == pytest.approx(105)


def test_a_burst_of_other_load_is_forgotten():
    clock, speed, _, progress = training()
    speed.start_epoch()
    for seconds in [1] * 50 + [10] * 5 + [1] * 200:
        step(clock, speed, progress, seconds)
    assert speed.images_per_second == pytest.approx(64, rel=0.05)


def test_what_comes_between_epochs_is_not_training_time():
    clock, speed, _, progress = training()
    for _ in range(3):
        speed.start_epoch()
        step(clock, speed, progress)
        speed.end_epoch()
        assert speed.unfinished_step == 0
        clock.now += 50
    assert progress.train_seconds == 6


def test_the_last_steps_and_the_end_are_known():
    clock, speed, plan, progress = training(epochs=2, steps=3)
    speed.start_epoch()
    seen = []
    for _ in range(3):
        seen.append((plan.is_last_step(progress), plan.ends_epoch(progress)))
        step(clock, speed, progress)
    assert seen == [(False, False), (False, False), (True, False)]
    assert plan.ends_epoch(progress)
    assert plan.is_over(progress)


def test_without_a_number_of_steps_whole_epochs_count():
    _, _, plan, progress = training(epochs=4, steps=None)
    progress.epoch = 1
    assert progress.fraction == 0.25
    assert progress.eta is None
    assert not plan.is_over(progress)
    assert not plan.is_last_step(progress)


def test_counters_are_restored():
    clock, speed, _, progress = training()
    progress.start_clock()
    speed.start_epoch()
    for _ in range(7):
        step(clock, speed, progress)
    progress.epoch, progress.stop_reason = 2, "enough"
    other_clock, _, _, other = training()
    other.load_state_dict(progress.state_dict())
    assert (other.step, other.images, other.epoch) == (7, 7 * 64, 2)
    assert other.train_seconds == 14
    assert other.stop_reason == "enough"
    other.start_clock()
    other_clock.now += 5
    assert other.elapsed == pytest.approx(14 + 5)
    other.start_clock()  # it runs already
    assert other.elapsed == pytest.approx(14 + 5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("step", value) for value in (-1, 1.5, None, "7", True, float("nan"))),
        *(("train_seconds", value) for value in (-1.0, float("inf"), None)),
        ("unit", "round"),
    ],
)
def test_counters_that_make_no_sense_are_refused(key, value):
    progress = training()[-1]
    with pytest.raises(ValueError, match=key if key != "unit" else "counted rounds"):
        progress.load_state_dict({**progress.state_dict(), key: value})
