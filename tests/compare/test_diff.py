"""The arithmetic of a comparison."""

import math

import numpy as np
import pytest

from paddle_resnet.compare import diff


def test_keys_that_agree_and_keys_that_do_not():
    ours = {"conv.weight": [8, 3, 3, 3], "fc.weight": [8, 10], "gate.weight": [8]}
    assert diff.keys(ours, dict(reversed(ours.items())))["agree"]
    theirs = {"conv.weight": (8, 3, 3, 3), "fc.weight": (8, 1000), "head.bias": (1,)}
    assert diff.keys(ours, theirs) == {
        "agree": False,
        "a": 3,
        "b": 3,
        "only_a": ["gate.weight"],
        "only_b": ["head.bias"],
        "shapes": ["fc.weight"],
    }


def test_arrays():
    a, b = np.float32([1, -7, 3]), np.float32([1, -7.5, 3.25])
    assert diff.arrays(a, b) == {"max_abs": 0.5, "largest": 7.5}
    assert diff.arrays(a, a)["max_abs"] == 0
    assert math.isnan(diff.arrays(a, np.float32([1, np.nan, 3]))["max_abs"])


def test_gradients_say_where_and_how_much():
    a = {"x": np.float32([3, 0]), "y": np.float32([[4]])}
    b = {"x": np.float32([3, 0.25]), "y": np.float32([[3]])}
    told = diff.gradients(a, b)
    assert (told["max_abs"], told["where"], told["largest"], told["tensors"]) == (1, "y", 4, 2)
    assert told["relative"] == pytest.approx(math.hypot(0.25, 1) / 5)
    assert diff.gradients(a, a)["where"] is None
    b["x"][0] = np.nan
    assert math.isnan(diff.gradients(a, b)["max_abs"])


def test_speeds_are_compared_round_by_round():
    told = diff.speeds([1.0, 2.0, 4.0], [2.0, 3.0, 4.0], 8)
    assert told["a"] == {"median": 4, "min": 2, "max": 8, "rounds": [8, 4, 2]}
    assert told["b"]["median"] == pytest.approx(8 / 3)
    assert told["ratio"] == {"median": 1.5, "min": 1, "max": 2, "rounds": [2, 1.5, 1]}
