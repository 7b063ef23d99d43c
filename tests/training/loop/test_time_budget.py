"""Time budgets, in the real loop on a clock of our own."""

import random

import pytest
from simulated import Clock, Simulation

from paddle_resnet.training.loop.progress import Progress
from paddle_resnet.training.loop.speed import SpeedMonitor
from paddle_resnet.training.loop.time_budget import TimeBudget


def simulated(budget, test_images, step, image, **options):
    """Train for a budget; return the simulation, before its test."""
    simulation = Simulation(
        lambda speed: TimeBudget(budget, speed, test_images=test_images), step, image, **options
    )
    simulation.measure()
    simulation.run()
    return simulation


@pytest.mark.parametrize(("budget", "step"), [(120, 13), (60, 7), (60, 31)])
def test_steps_longer_than_a_round_do_not_break_the_budget(budget, step):
    """Few long steps: the training ends early rather than late."""
    simulation = simulated(budget, 500, lambda: step, lambda: 0.004)
    simulation.test()
    assert simulation.progress.elapsed <= budget + step / 2 + 0.05 * budget


@pytest.mark.parametrize("budget", [60, 300, 1200, 36000])
@pytest.mark.parametrize("steps", [40, 400, 4000])
def test_a_budget_is_kept_within_5_percent(budget, steps):
    noise = random.Random(budget)
    simulation = simulated(
        budget, 10000, lambda: budget / steps * noise.uniform(0.8, 1.3), lambda: budget / 1e5
    )
    assert simulation.test() == 10000
    assert simulation.progress.elapsed == pytest.approx(budget, rel=0.05)


@pytest.mark.parametrize("since", [1100, 1500, 1900])
def test_a_budget_is_kept_when_the_machine_becomes_half_as_fast(since):
    slow = lambda: 2 if simulation.clock.now > since else 1  # noqa: E731
    simulation = Simulation(
        lambda speed: TimeBudget(1200, speed, test_images=10000),
        lambda: 0.5 * slow(),
        lambda: 0.005 * slow(),
    )
    simulation.measure()
    simulation.run()
    simulation.test()
    assert simulation.progress.elapsed == pytest.approx(1200, rel=0.05)


@pytest.mark.parametrize(("images_per_second", "whole"), [(660, True), (540, True), (400, False)])
def test_evaluation_that_becomes_slower_at_the_end(images_per_second, whole):
    """The margin is a quarter: what it does not cover cuts the test set, and not the budget."""
    speeds = [660]
    simulation = simulated(300, 10000, lambda: 0.35, lambda: 1 / speeds[-1], files=1)
    speeds.append(images_per_second)
    # Measured by nobody before the test; that of the last round would be the same.
    simulation.speed.evaluation_took(1, images_per_second)
    assert (simulation.test() == 10000) == whole
    assert simulation.progress.elapsed == pytest.approx(300, rel=0.05)


def test_the_fraction_climbs_from_0_to_nearly_1():
    simulation = simulated(300, 10000, lambda: 0.5, lambda: 0.004)
    fractions = simulation.fractions
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(1, abs=0.02)
    # Estimates may be corrected, but never by much: the learning rate must not jump.
    assert all(b - a > -0.02 for a, b in zip(fractions, fractions[1:]))


@pytest.mark.parametrize("checkpoint", [0.0, 0.2])
def test_writing_a_checkpoint_is_not_training_time(checkpoint):
    simulation = simulated(300, 1000, lambda: 0.5, lambda: 0.004, checkpoint=checkpoint)
    steps = simulation.progress.step
    assert simulation.progress.train_seconds == pytest.approx(steps * 0.5)
    assert simulation.speed.images_per_second == pytest.approx(64 / 0.5)
    simulation.test()
    assert simulation.progress.elapsed == pytest.approx(300, rel=0.05)


def test_waiting_for_files_counts_and_is_not_forgotten_once_they_are_in_memory():
    clock = Clock()
    speed = SpeedMonitor(clock)
    plan = TimeBudget(1000, speed, test_images=100)

    def evaluate(wait, seconds):
        def load():
            for _ in range(3):
                clock.now += wait
                yield None, range(10)

        for _ in speed.time_evaluation(load()):
            clock.now += seconds

    evaluate(wait=1.0, seconds=0.5)
    assert plan.test_seconds == pytest.approx(15 * 1.25)
    evaluate(wait=0.0, seconds=0.7)
    assert plan.test_seconds == pytest.approx(17 * 1.25)
    speed.evaluation_took(9, 100)
    assert plan.test_seconds == pytest.approx(19 * 1.25)


@pytest.mark.parametrize("cost", [0.0001, 0.001, 0.01, 0.05])
def test_evaluations_during_training_take_a_tenth_of_the_budget_at_most(cost):
    speed = SpeedMonitor(Clock())
    plan = TimeBudget(1200, speed, test_images=1000)
    speed.evaluation_took(cost * 100, 100)
    plan.plan_rounds(5000)
    assert plan.epochs * plan.validation_images * cost <= 120 * 1.001
    assert 2 <= plan.epochs <= 20


def test_a_budget_without_validation_images_has_equal_rounds_all_the_same():
    simulation = Simulation(lambda speed: TimeBudget(100, speed), lambda: 0.1, files=0)
    simulation.measure(validation_images=0)
    simulation.run()
    assert simulation.plan.validation_images == 0
    assert simulation.progress.train_seconds == pytest.approx(100, rel=0.02)
    assert len(simulation.steps_of_round) == 10
    assert max(simulation.steps_of_round) - min(simulation.steps_of_round) <= 2


def test_a_test_set_that_is_too_large_for_the_budget_gets_less_than_half_of_it():
    # 100 s for the whole test set.
    simulation = simulated(60, 10000, lambda: 0.5, lambda: 0.01)
    assert simulation.progress.elapsed == pytest.approx(36, rel=0.05)
    assert simulation.test() == pytest.approx(2400, rel=0.05)


def test_a_test_set_that_nearly_fits_is_evaluated_whole():
    clock = Clock()
    speed = SpeedMonitor(clock)
    plan = TimeBudget(100, speed, test_images=1000)
    progress = Progress(plan, clock)
    assert plan.test_images_that_fit(progress) == 1000  # nothing is known yet
    progress.start_clock()
    speed.evaluation_took(1, 100)
    clock.now += 90.9
    assert plan.test_images_that_fit(progress) == 1000
    clock.now += 2
    assert plan.test_images_that_fit(progress) == pytest.approx(710, abs=2)
    clock.now += 1000
    assert plan.test_images_that_fit(progress) == plan.MIN_TEST_IMAGES


def test_a_resumed_budget_keeps_its_rounds_and_its_time():
    first = simulated(100, 10, lambda: 1.0, lambda: 0.001)
    second = Simulation(lambda speed: TimeBudget(100, speed, test_images=10), lambda: 1.0)
    second.progress.load_state_dict(first.progress.state_dict())
    second.progress.start_clock()
    assert second.progress.elapsed == pytest.approx(first.progress.elapsed)
    assert (second.progress.step, second.progress.epoch) == (
        first.progress.step,
        first.progress.epoch,
    )
    assert second.plan.epochs == first.plan.epochs
    assert second.plan.validation_images == first.plan.validation_images
    assert second.plan.is_over(second.progress) == first.plan.is_over(first.progress)


@pytest.mark.parametrize(
    ("key", "value"),
    [("rounds", 0), ("rounds", 2.5), ("validation_images", -1), ("rounds", None), ("speed", {})],
)
def test_a_plan_that_makes_no_sense_is_refused(key, value):
    plan = TimeBudget(100, SpeedMonitor(Clock()))
    state = {**plan.state_dict(), key: value}
    with pytest.raises((ValueError, KeyError)):
        plan.load_state_dict(state)
