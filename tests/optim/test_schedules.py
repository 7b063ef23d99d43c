"""Schedules against closed forms, Paddle's own schedulers, and properties of all of them."""

import math

import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_resnet.config import ScheduleConfig, config_from_dict
from paddle_resnet.errors import ConfigError
from paddle_resnet.optim.schedules import make_schedule

SHARES = st.floats(0, 1)
NAMES = ["constant", "step", "multistep", "linear", "cosine", "polynomial", "onecycle"]
FALLING = ["linear", "cosine", "polynomial", "onecycle"]


def schedule(name, epochs=None, **kwargs):
    return make_schedule(ScheduleConfig(name=name, **{"warmup": 0.0, **kwargs}), epochs)


@pytest.mark.parametrize(
    ("name", "progress", "expected"),
    [
        ("constant", 0.7, 1.0),
        ("linear", 0.25, 0.75),
        ("cosine", 0.0, 1.0),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("cosine", 0.25, 0.5 * (1 + math.cos(math.pi / 4))),
        ("polynomial", 0.25, 0.75**2),
        ("step", 0.2999, 1.0),
        ("step", 0.3, 0.1),
        ("step", 0.95, 0.001),
        ("multistep", 0.4999, 1.0),
        ("multistep", 0.5, 0.1),
        ("multistep", 0.8, 0.01),
    ],
)
def test_closed_forms(name, progress, expected):
    assert schedule(name)(progress) == pytest.approx(expected)


def test_own_parameters():
    assert schedule("polynomial", power=0.5)(0.75) == pytest.approx(0.5)
    assert schedule("step", step_size=0.25, gamma=0.5)(0.75) == pytest.approx(0.125)
    steps = schedule("multistep", milestones=[0.1, 0.2, 0.9], gamma=0.5)
    assert [steps(t) for t in (0.05, 0.15, 0.5, 0.95)] == [1, 0.5, 0.25, 0.125]


STEPS = 30


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            schedule("cosine", end_factor=0.1),
            paddle.optimizer.lr.CosineAnnealingDecay(1.0, STEPS, 0.1),
        ),
        (
            schedule("polynomial", power=3.0, end_factor=0.1),
            paddle.optimizer.lr.PolynomialDecay(1.0, STEPS, end_lr=0.1, power=3.0),
        ),
        (
            schedule("multistep", milestones=[0.3, 0.6, 0.9], gamma=0.2),
            paddle.optimizer.lr.MultiStepDecay(1.0, [9, 18, 27], gamma=0.2),
        ),
        (schedule("step", step_size=0.2, gamma=0.5), paddle.optimizer.lr.StepDecay(1.0, 6, 0.5)),
        (
            schedule("linear", warmup=0.2),
            paddle.optimizer.lr.LinearWarmup(
                paddle.optimizer.lr.PolynomialDecay(1.0, 24, end_lr=0.0, power=1.0), 6, 0.0, 1.0
            ),
        ),
        (
            schedule("onecycle", warmup=0.3, warmup_start_factor=0.04, end_factor=4e-6),
            # Its last phase ends with the last step itself.
            paddle.optimizer.lr.OneCycleLR(
                1.0, STEPS + 1, divide_factor=25.0, end_learning_rate=4e-6, phase_pct=10 / 31
            ),
        ),
    ],
    ids=["cosine", "polynomial", "multistep", "step", "warm-up", "onecycle"],
)
def test_equal_to_the_schedulers_of_paddle(ours, theirs):
    for step in range(STEPS):
        assert ours(step / STEPS) == pytest.approx(theirs(), abs=1.1e-3), step
        theirs.step()


def test_warmup_climbs_linearly_to_the_peak_and_never_starts_at_zero():
    rate = schedule("cosine", warmup=0.1)
    assert 0 < rate(0.0) < 0.01
    assert rate(0.05) == pytest.approx(0.5)
    assert rate(0.1) == pytest.approx(1.0)
    assert rate(0.55) == pytest.approx(0.5)
    rate = schedule("constant", warmup=0.1, warmup_start_factor=0.2)
    assert [rate(0.0), rate(0.05), rate(0.1)] == pytest.approx([0.2, 0.6, 1.0])


def test_one_cycle_climbs_and_falls_on_cosines():
    rate = schedule("onecycle", warmup=0.4)
    assert rate(0.1) == pytest.approx(0.5 * (1 - math.cos(math.pi / 4)))
    assert rate(0.4) == pytest.approx(1.0)
    assert rate(0.7) == pytest.approx(0.5)


def test_final_share():
    assert schedule("linear", end_factor=0.2)(1.0) == pytest.approx(0.2)
    assert schedule("cosine", end_factor=0.2)(0.5) == pytest.approx(0.6)


@pytest.mark.parametrize("name", NAMES)
def test_by_epoch_the_rate_stays_throughout_an_epoch(name):
    smooth, stairs = schedule(name), schedule(name, epochs=7, interval="epoch")
    for step in range(7 * 13):
        assert stairs(step / (7 * 13)) == smooth((step // 13) / 7)


def test_by_epoch_the_warmup_goes_by_step_and_no_epoch_is_wasted():
    rate = schedule("linear", epochs=10, interval="epoch", warmup=0.15)
    assert rate(0.075) == pytest.approx(0.5)
    # From the warm-up's end to the next epoch at the peak, then down at epochs alone.
    assert [rate(t) for t in (0.15, 0.199)] == [1, 1]
    assert rate(0.2) == rate(0.299) == pytest.approx(1 - 0.05 / 0.85)


@given(st.integers(1, 300), st.integers(1, 400), st.data())
def test_an_epoch_begins_with_its_first_step_whatever_rounding_does(epochs, steps, data):
    epoch = data.draw(st.integers(0, epochs - 1))
    stairs = schedule("linear", epochs=epochs, interval="epoch")
    for step in (0, steps - 1):
        progress = (epoch * steps + step) / (epochs * steps)
        assert stairs(progress) == pytest.approx(1 - epoch / epochs, abs=1e-9)


@given(
    st.sampled_from(NAMES),
    st.floats(0, 0.99),
    SHARES,
    SHARES,
    st.floats(-1, 2),
    st.sampled_from([None, 1, 7, 200]),
)
def test_always_a_share_of_the_peak(name, warmup, begin, final, progress, epochs):
    by = "epoch" if epochs else "step"
    rate = schedule(
        name, epochs, warmup=warmup, warmup_start_factor=begin, end_factor=final, interval=by
    )
    assert 0 <= rate(progress) <= 1 + 1e-12


@given(st.sampled_from(NAMES), SHARES, SHARES)
def test_never_climbs_after_the_warmup(name, a, b):
    rate = schedule(name, warmup=0.1)
    early, late = sorted((0.1 + 0.9 * a, 0.1 + 0.9 * b))
    assert rate(late) <= rate(early) + 1e-12


@given(st.sampled_from(NAMES), st.floats(0.01, 0.5), SHARES, SHARES)
def test_never_falls_within_the_warmup(name, warmup, a, b):
    # Milestones count over the whole training: these begin after the warm-up.
    rate = schedule(name, warmup=warmup, **{"step_size": 0.6} if name == "step" else {})
    early, late = sorted((warmup * a * 0.999, warmup * b * 0.999))
    assert rate(early) <= rate(late) + 1e-12


@given(st.sampled_from(FALLING), st.floats(0, 0.9), SHARES)
def test_ends_where_it_should(name, warmup, final):
    assert schedule(name, warmup=warmup, end_factor=final)(1.0) == pytest.approx(final, abs=1e-12)
    assert schedule(name, warmup=warmup, end_factor=final)(warmup) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ({"name": "cosine", "gamma": 0.5}, "gamma is of step and multistep"),
        ({"name": "step", "milestones": [0.5]}, "milestones is of multistep"),
        ({"name": "linear", "power": 2}, "power is of polynomial"),
        ({"name": "multistep", "milestones": [0.7, 0.5]}, "milestones must climb"),
        ({"name": "multistep", "milestones": [1.5]}, "less than 1"),
        ({"name": "cosin"}, "Did you mean 'cosine'?"),
    ],
)
def test_settings_without_effect_are_refused(section, part):
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"schedule": section})
    assert part in str(caught.value)
