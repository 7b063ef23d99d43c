import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddle_resnet.pages import charts, ticks


@pytest.mark.parametrize(
    ("end", "labels"),
    [
        (0.1, ["0.00", "0.02", "0.04", "0.06", "0.08", "0.10"]),
        (1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (12, ["0", "2", "4", "6", "8", "10", "12"]),
        (200, ["0", "50", "100", "150", "200"]),
    ],
)
def test_epoch_axes_from_a_tenth_to_two_hundred(end, labels):
    assert ticks.labels(ticks.nice_ticks(0, end)) == labels


def test_labels_of_fractions_and_of_the_very_small():
    assert ticks.labels([0.8, 0.85], "%") == ["80\u00a0%", "85\u00a0%"]
    assert ticks.labels([0.0, 2e-5, 4e-5]) == ["0", "2×10⁻⁵", "4×10⁻⁵"]
    assert ticks.labels([-0.1 + 0.1, 0.1]) == ["0.0", "0.1"]


numbers = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(numbers, st.floats(1e-6, 1e9), st.booleans())
def test_ticks_are_few_even_and_where_they_should_be(low, width, around):
    high = low + width
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return
    found = ticks.nice_ticks(low, high, around=around)
    slack = (high - low) * 1e-6 + 1e-6 * max(abs(low), abs(high))
    assert len(found) <= 7
    if around:
        assert found[0] <= low + slack
        assert found[-1] >= high - slack
        # The axis that ends at its ticks has these ticks: nothing moves when it is drawn.
        if (high - low) > 1e-6 * max(abs(low), abs(high)):
            again = ticks.nice_ticks(found[0], found[-1])
            assert again == pytest.approx(found, abs=slack)
    else:
        assert all(low - slack <= tick <= high + slack for tick in found)
        assert len(found) >= 1


def test_a_range_that_is_none_is_refused():
    for low, high in ((1, 1), (2, 1), (0, math.nan), (0, math.inf)):
        with pytest.raises(ValueError, match="no axis"):
            ticks.nice_ticks(low, high)


def test_value_range():
    def of(*values, **options):
        return charts.value_range(np.array(values, float), **options)

    assert of(0.2, 2.3) == (0.0, 2.5)
    assert of(0.85, 1.0, most=1.0) == pytest.approx((0.85, 1.0))
    assert of(800, 1040, from_zero=True) == (0, 1200)
    assert of(math.nan) == (0, 1)
    low, high = of(2.29, 2.29)  # a single value is drawn in the middle, not on an edge
    assert low < 2.2 < 2.4 <= high
    low, high = of(*[1.0] * 20, 1e6)
    assert high < 100


def test_smoothing_keeps_lines_straight_and_gaps_apart():
    line = np.arange(20.0)
    assert charts.smooth(line, 5) == pytest.approx(line)
    hole = np.array([1, 1, math.nan, 5, 5, 5])
    assert np.isnan(charts.smooth(hole, 3)).tolist() == np.isnan(hole).tolist()
    noisy = np.random.default_rng(0).normal(size=300)
    assert charts.smooth(noisy, 9)[10:-10].std() < 0.5


def test_thinning_takes_means():
    x, y = charts.thin(np.arange(1000.0), np.arange(1000.0) * 2, most=10)
    assert len(x) == 10
    assert x[0] == pytest.approx(49.5)
    assert y == pytest.approx(2 * x)
    assert len(charts.thin(np.arange(5.0), most=10)[0]) == 5


def chart(y, kind="train"):
    x = np.arange(len(y), dtype=float)
    texts = [str(v) for v in y]
    series = charts.Series("s", kind, x, np.array(y, float), texts, texts)
    return charts.Chart("c", "C", "", [series], (0.0, 4.0), (0.0, 2.0)), series


def test_positions_of_a_line():
    drawing, series = chart([0, 1, 2, 1, 0])
    assert drawing.line(series) == ("M0.0 1000.0L250.0 500.0L500.0 0.0L750.0 500.0L1000.0 1000.0")
    assert drawing.data()["series"][0]["y"] == [1.0, 0.5, 0.0, 0.5, 1.0]


def test_what_is_no_number_is_a_gap():
    drawing, series = chart([1, math.nan, 1, 1, math.inf])
    assert re.findall("[ML]", drawing.line(series)) == ["M", "M", "L"]
    assert drawing.data()["series"][0]["y"] == [0.5, None, 0.5, 0.5, None]
    drawing, series = chart([1, math.nan, 1, 1, math.nan], kind="fine")
    assert drawing.dots(series).count("M") == 1  # alone between gaps, it has no line to show it
