"""One seed for everything that is drawn, and flags that only a GPU knows."""

import os
import random

import numpy as np
import paddle

from paddle_resnet.training.loop.seeding import be_deterministic, seed_everything


def drawn():
    return paddle.rand([3]).tolist(), np.random.rand(3).tolist(), random.random()


def test_a_seed_decides_what_paddle_numpy_and_python_draw():
    seed_everything(5)
    first, second = drawn(), drawn()
    assert all(a != b for a, b in zip(first, second))
    seed_everything(5)
    assert drawn() == first
    seed_everything(6)
    assert all(a != b for a, b in zip(drawn(), first))


def test_deterministic_sums_are_asked_for_where_there_is_a_gpu(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    asked = {}
    monkeypatch.setattr(paddle, "set_flags", asked.update)
    be_deterministic()
    assert asked == {}  # the CPU's Paddle would refuse them
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
    be_deterministic()
    assert asked["FLAGS_cudnn_deterministic"] is True
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
