import numpy as np
import pytest

from paddle_resnet.report.calibration import expected_calibration_error, reliability


def test_a_case_computed_by_hand():
    # Two bins: (0, 0.5] holds 0.3 and 0.5 (one right), (0.5, 1] holds 0.8, 0.9, 1.0 (all right).
    bins = reliability(np.array([0.3, 0.5, 0.8, 0.9, 1.0]), np.array([0, 1, 1, 1, 1], bool), 2)
    assert [b.count for b in bins] == [2, 3]
    assert [b.confidence for b in bins] == pytest.approx([0.4, 0.9])
    assert [b.accuracy for b in bins] == pytest.approx([0.5, 1.0])
    # (2 * |0.5 - 0.4| + 3 * |1.0 - 0.9|) / 5
    assert expected_calibration_error(bins) == pytest.approx(0.1)


def test_bins_are_open_below_and_closed_above_and_leave_nobody_out():
    confidence = np.array([0.0, 0.1, 0.2, 0.2000001, 1.0])
    bins = reliability(confidence, np.ones(5, bool), 5)
    assert [(round(b.low, 1), b.count) for b in bins] == [(0.0, 3), (0.2, 1), (0.8, 1)]


def test_a_network_that_knows_itself_has_a_small_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.1, 1, 100_000)
    honest = rng.random(100_000) < confidence
    assert expected_calibration_error(reliability(confidence, honest)) < 0.01
    boastful = rng.random(100_000) < confidence - 0.1
    error = expected_calibration_error(reliability(confidence, boastful))
    assert error == pytest.approx(0.1, abs=0.01)
