"""Training any network for a given time."""

import time

import pytest

from paddle_resnet.config import load_config
from paddle_resnet.data.splits import load_splits
from paddle_resnet.training import timed_training as module
from paddle_resnet.training.timed_training import timed_training


@pytest.fixture(scope="module")
def config():
    overrides = (
        "train.budget=2s",
        "train.batch_size=32",
        "data.root=sample",
        "data.validation=0",
        "data.max_train_images=400",
    )
    return load_config("quickstart", overrides)


def test_learns_for_its_time_and_is_tested_once(tiny, config):
    lines = []
    told = timed_training(
        tiny, config, load_splits(config, notify=lines.append), write=lines.append
    )
    # To the nearest whole step.
    assert 1.5 < told["seconds"] < 4
    assert told["steps"] > 5
    assert told["epochs"] == pytest.approx(told["steps"] * 32 / (400 // 32 * 32))
    assert told["images_per_second"] == pytest.approx(told["steps"] * 32 / told["seconds"])
    (row,) = told["history"]
    assert row["seconds"] == told["seconds"]
    assert 0 < row["loss"] < 3
    assert told["test"]["images"] == 500
    assert 0.1 < told["test"]["acc_top1"] < 0.6
    assert sum(line.startswith("round 1 of 1: loss ") for line in lines) == 1


def test_waiting_takes_no_time(tiny, config, monkeypatch):
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.5)
    waits = []

    def wait():
        waits.append(time.monotonic())
        time.sleep(0.4)

    parts = load_splits(config, notify=lambda line: None)
    told = timed_training(tiny, config, parts, lambda line: None, wait)
    assert len(waits) == len(told["history"]) == 4
    # Each round's training, and the time that it waited.
    assert (
        waits[-1] - waits[0] > told["history"][-1]["seconds"] - told["history"][0]["seconds"] + 1.2
    )
    assert 1.2 < told["seconds"] < 4
