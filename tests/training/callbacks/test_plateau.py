"""A smaller learning rate when a metric no longer improves, and the end of a training."""

import math

import numpy as np
import paddle
import pytest
from paddle import nn
from small_training import sgd, small_state

from paddle_resnet.config import ScheduleConfig
from paddle_resnet.optim.learning_rate import LearningRate
from paddle_resnet.optim.schedules import make_schedule
from paddle_resnet.training.callbacks.early_stopping import EarlyStopping
from paddle_resnet.training.callbacks.plateau import ReduceOnPlateau
from paddle_resnet.training.loop.callback import Callback
from paddle_resnet.training.loop.training_loop import train

BATCHES = [(np.ones([2, 3], np.float32), np.zeros([2], np.int64))]


class Rates(Callback):
    """Sees the rate that a step really took: what a bias moved by, over its gradient of 1/2."""

    def __init__(self):
        self.seen = []

    def on_step_start(self, state):
        self.before = state.network.bias.numpy().copy()

    def on_step_end(self, state, result):
        self.seen.append(2 * float((self.before - state.network.bias.numpy())[0]))


def run(script, *callbacks, schedule="constant", monitor="val_loss"):
    """Train an epoch of one step for each value of the script; return the rates of the steps."""
    network, rates = nn.Linear(3, 2), Rates()
    optimizer = sgd(network)
    shape = make_schedule(ScheduleConfig(name=schedule, warmup=0.0))
    state = small_state(
        network,
        optimizer,
        BATCHES,
        len(script),
        loss=lambda outputs, labels: outputs.mean(),
        learning_rate=LearningRate(optimizer, 0.5, shape),
    )
    values = iter(script)
    train(state, lambda network: {monitor: next(values)}, [rates, *callbacks])
    return rates.seen, state


@pytest.mark.parametrize(
    ("patience", "script", "epochs"),
    [
        (0, [5, 4, 3, 3, 1], 4),
        (1, [5, 4, 3, 3, 1], 4),
        (2, [5, 6, 4, 5, 5, 1], 5),
        (0, [5, 4, math.nan, 1], 3),
        (3, [5, 4, 3], 3),
    ],
)
@pytest.mark.parametrize("monitor", ["val_loss", "val_acc_top1"])
def test_early_stopping(patience, script, epochs, monitor):
    script = script if monitor == "val_loss" else [-value for value in script]
    lines = []
    stopping = EarlyStopping(lines.append, monitor, patience)
    rates, state = run(script, stopping, monitor=monitor)
    assert len(rates) == epochs
    assert bool(state.stop_reason) == (epochs < len(script))
    assert lines == [state.stop_reason][: bool(state.stop_reason)]


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 5), (0.5, 3), (1.5, 2)])
def test_small_improvements_do_not_count(min_delta, epochs):
    stopping = EarlyStopping(lambda line: None, "val_loss", 1, min_delta)
    assert len(run([5, 4, 3.9, 3.8, 3.7], stopping)[0]) == epochs


def test_the_rate_really_drops():
    lines = []
    plateau = ReduceOnPlateau(lines.append, "val_loss", factor=0.1, patience=2)
    rates, _ = run([5] * 6, plateau)
    assert rates == pytest.approx([0.5, 0.5, 0.5, 0.05, 0.05, 0.005], rel=1e-3)
    assert len(lines) == 2
    assert "0.1 of the schedule's" in lines[0]


def test_a_schedule_continues_at_the_smaller_rate_and_not_below_the_least():
    plateau = ReduceOnPlateau(
        lambda line: None, "val_loss", factor=0.1, patience=1, min_factor=0.05
    )
    rates, _ = run([5] * 6, plateau, schedule="linear")
    factors = [1, 1, 0.1, 0.05, 0.05, 0.05]
    expected = [0.5 * (1 - step / 6) * factor for step, factor in enumerate(factors)]
    assert rates == pytest.approx(expected, rel=2e-3)


def test_nothing_counts_during_a_cooldown():
    plateau = ReduceOnPlateau(lambda line: None, "val_loss", factor=0.1, patience=1, cooldown=2)
    rates, _ = run([5] * 6, plateau)
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005, 0.005], rel=1e-3)


@pytest.mark.parametrize("script", [[5, 5, 4, 4, 4, 6], [1, 2, 0.5, math.nan, 3, 0.1]])
@pytest.mark.parametrize("patience", [0, 1, 2])
def test_decisions_are_those_of_paddles_callbacks(script, patience):
    """Which are documented; ours have no model to change."""
    plateau = ReduceOnPlateau(lambda line: None, "val_loss", factor=0.5, patience=patience)
    rates, state = run(script, plateau)
    theirs = paddle.callbacks.ReduceLROnPlateau("loss", 0.5, patience, verbose=0)
    network = nn.Linear(3, 2)
    model = paddle.Model(network)
    model.prepare(sgd(network, 1.0))
    theirs.set_model(model)
    theirs.on_train_begin()
    factors = []
    for value in script:
        factors.append(model._optimizer._learning_rate)
        theirs.on_eval_end({"loss": value})
    assert rates == pytest.approx([0.5 * factor for factor in factors], rel=1e-3)
    assert state.learning_rate.plateau_factor == model._optimizer._learning_rate


def test_counts_are_restored():
    plateau = ReduceOnPlateau(lambda line: None, "val_loss", factor=0.1, patience=2, cooldown=3)
    stopping = EarlyStopping(lambda line: None, "val_loss", 9)
    _, state = run([5, 6, 6, 7], plateau, stopping)
    assert state.learning_rate.plateau_factor == pytest.approx(0.1)
    again = ReduceOnPlateau(lambda line: None, "val_loss", factor=0.1, patience=2, cooldown=3)
    again.load_state_dict(plateau.state_dict())
    assert (again.best, again.waited, again.cooldown_left) == (5, 0, 2)
    stopping_again = EarlyStopping(lambda line: None, "val_loss", 9)
    stopping_again.load_state_dict(stopping.state_dict())
    assert (stopping_again.best, stopping_again.waited) == (5, 3)
    rate = LearningRate(state.optimizer, 0.5, lambda fraction: 1.0)
    rate.load_state_dict(state.learning_rate.state_dict())
    assert rate.at(0.5) == pytest.approx(0.05)
    fresh = EarlyStopping(lambda line: None, "val_acc_top1", 9)
    fresh.load_state_dict(EarlyStopping(lambda line: None, "val_acc_top1", 9).state_dict())
    assert fresh.best == -math.inf


@pytest.mark.parametrize("factor", [-0.1, 1.5, math.nan])
def test_a_factor_that_makes_no_sense_is_refused(factor):
    rate = LearningRate(sgd(nn.Linear(1, 1)), 0.5, lambda fraction: 1.0)
    with pytest.raises(ValueError, match="plateau_factor"):
        rate.load_state_dict({"plateau_factor": factor})
