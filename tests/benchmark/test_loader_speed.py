import os

import pytest

from paddle_resnet.benchmark.loader_speed import measure


def test_the_loader_is_at_least_twenty_times_as_fast_as_paddles(monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_DATA", "sample")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    result = measure(rounds=3, paddle_images=256, our_images=6_000)
    assert result["ratio"] > 20
    assert result["ours"] == pytest.approx(result["ratio"] * result["paddle"], rel=0.6)
    assert result["rounds"] == 3
    assert "sample" in result["data"]
    if cores:
        assert os.sched_getaffinity(0) == cores
