import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_resnet.training.schedules import make_schedule

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("name", "progress", "expected"),
    [
        ("constant", 0.7, 1.0),
        ("linear", 0.25, 0.75),
        ("cosine", 0.0, 1.0),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("cosine", 0.25, 0.5 * (1 + math.cos(math.pi / 4))),
    ],
)
def test_closed_forms(name, progress, expected):
    assert make_schedule(name)(progress) == pytest.approx(expected)


def test_warmup_climbs_linearly_to_the_peak_and_never_starts_at_zero():
    schedule = make_schedule("cosine", warmup=0.1)
    assert 0 < schedule(0.0) < 0.01
    assert schedule(0.05) == pytest.approx(0.5)
    assert schedule(0.1) == pytest.approx(1.0)
    assert schedule(0.55) == pytest.approx(0.5)


def test_final_share():
    assert make_schedule("linear", final=0.2)(1.0) == pytest.approx(0.2)
    assert make_schedule("cosine", final=0.2)(0.5) == pytest.approx(0.6)


@given(
    st.sampled_from(["constant", "linear", "cosine"]),
    st.floats(0, 0.99),
    SHARES,
    st.floats(-1, 2),
)
def test_always_a_share_of_the_peak(name, warmup, final, progress):
    assert 0 <= make_schedule(name, warmup, final)(progress) <= 1


@given(st.sampled_from(["linear", "cosine"]), SHARES, SHARES)
def test_never_climbs_after_the_warmup(name, a, b):
    schedule = make_schedule(name, warmup=0.1)
    early, late = sorted((0.1 + 0.9 * a, 0.1 + 0.9 * b))
    assert schedule(late) <= schedule(early) + 1e-12
