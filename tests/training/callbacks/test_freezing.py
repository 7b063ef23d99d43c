"""Stages that are frozen for the first part of a training."""

import numpy as np
import pytest
from paddle import nn
from small_training import Weights, small_state

from paddle_resnet.config import OptimizerConfig
from paddle_resnet.errors import ConfigError
from paddle_resnet.optim.optimizers import make_optimizer
from paddle_resnet.training.callbacks.freezing import Freezing
from paddle_resnet.training.loop.training_loop import train


def moved(tiny, batches, until, epochs=4, optimizer="momentum"):
    """Return the tensors that each step changed, by step."""
    made = make_optimizer(OptimizerConfig(name=optimizer, lr=0.01), tiny)
    state, weights = small_state(tiny, made, batches, epochs), Weights()
    train(state, callbacks=[Freezing(tiny, until), weights])
    return [
        {name for name in after if not np.array_equal(before[name], after[name])}
        for before, after in zip(weights.states, weights.states[1:])
    ]


@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "lamb"])
def test_head_first_then_all(tiny, batches, optimizer):
    steps = moved(tiny, batches, {"backbone": 0.5}, optimizer=optimizer)
    assert all(names == {"fc.weight", "fc.bias"} for names in steps[:6])
    everything = set(tiny.state_dict())
    assert all(len(names) > 0.9 * len(everything) for names in steps[6:])
    assert "bn1._mean" in steps[6]


def test_parts_thaw_one_after_the_other_and_some_never(tiny, batches):
    until = {"conv1": 1.0, "backbone": 0.75, "layer2": 0.25}
    steps = moved(tiny, batches, until)
    parts = [{name.split(".")[0] for name in names} for names in steps]
    assert parts[:3] == [{"fc"}] * 3
    assert parts[3:9] == [{"layer2", "fc"}] * 6
    assert parts[9:] == [{"layer1", "layer2", "fc"}] * 3  # the batch norm bn1 belongs to conv1


def test_unknown_parts_are_named(tiny):
    with pytest.raises(ConfigError, match="Did you mean 'layer2'"):
        Freezing(tiny, {"layer3": 0.5})
    with pytest.raises(ConfigError, match="the network has backbone"):
        Freezing(nn.Linear(2, 2), {"conv1": 0.5})
