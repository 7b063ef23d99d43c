"""Paddle's EarlyStopping and ReduceLROnPlateau, repaired, in our `fit` and in the base class's."""

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.training import ImageClassifier
from paddle_resnet.training.paddle_compat.repaired_callbacks import (
    EarlyStopping,
    ReduceLROnPlateau,
    scale_scheduler,
)


class Scripted(nn.Layer):
    """A loss whose evaluations are what the script says, whatever the network does."""

    def __init__(self, script):
        super().__init__()
        self.script = iter(script)

    def forward(self, outputs, labels):
        if outputs.stop_gradient:  # evaluation
            return outputs.sum() * 0 + next(self.script)
        return (outputs * 0).sum() + outputs.mean()


BATCHES = [(np.ones([2, 3], np.float32), np.zeros([2], np.int64))]


def model_of(base, script, rate=0.5):
    network = nn.Linear(3, 2)
    model = base(network)
    model.prepare(paddle.optimizer.SGD(rate, network.parameters()), Scripted(script))
    return model


class Count(paddle.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_begin(self, step, logs=None):
        before = self.model.network.bias.numpy().copy()
        self.before = before

    def on_train_batch_end(self, step, logs=None):
        # The gradient of the mean with respect to each bias is 1/2: the rate that acted is seen.
        self.rates.append(float(2 * (self.before - self.model.network.bias.numpy())[0]))


def fit(base, callback, script, epochs, rate=0.5):
    model, count = model_of(base, script, rate), Count()
    model.fit(BATCHES, BATCHES, epochs=epochs, verbose=0, callbacks=[count, callback])
    return count.rates


@pytest.mark.parametrize("base", [paddle.Model, ImageClassifier])
@pytest.mark.parametrize(
    ("patience", "script", "epochs"),
    [
        (0, [5, 4, 3, 3, 1], 4),
        (1, [5, 4, 3, 3, 1], 4),
        (2, [5, 6, 4, 5, 5, 1], 5),
        (0, [5, 4, math.nan, 1], 3),
    ],
)
def test_early_stopping(base, patience, script, epochs):
    callback = EarlyStopping(patience=patience, verbose=0, save_best_model=False)
    assert len(fit(base, callback, script, 10)) == epochs


def test_paddles_own_is_repaired_on_the_way_in_and_sees_what_happened():
    callback = paddle.callbacks.EarlyStopping(patience=0, verbose=0, save_best_model=False)
    assert len(fit(ImageClassifier, callback, [5, 4, 3, 3, 1], 10)) == 4
    assert callback.best_value == 3
    fresh = paddle.callbacks.EarlyStopping(patience=0, verbose=0, save_best_model=False)
    assert len(fit(paddle.Model, fresh, [5, 4, 3, 3, 1], 10)) == 1, "the base class's fault"


@pytest.mark.parametrize("base", [paddle.Model, ImageClassifier])
def test_the_rate_really_drops(base):
    callback = ReduceLROnPlateau(patience=2, factor=0.1, verbose=0)
    rates = fit(base, callback, [5, 5, 5, 5, 5, 5], 6)
    assert rates == pytest.approx([0.5, 0.5, 0.5, 0.05, 0.05, 0.005], rel=1e-3)


def test_the_base_classs_rate_does_not_drop():
    callback = paddle.callbacks.ReduceLROnPlateau(patience=2, factor=0.1, verbose=0)
    assert fit(paddle.Model, callback, [5] * 6, 6) == pytest.approx([0.5] * 6, rel=1e-3)
    callback = paddle.callbacks.ReduceLROnPlateau(patience=2, factor=0.1, verbose=0)
    assert fit(ImageClassifier, callback, [5] * 6, 6)[-1] == pytest.approx(0.005, rel=1e-3)


def test_schedulers_are_scaled():
    rate = paddle.optimizer.lr.ExponentialDecay(0.5, 0.9)
    callback = ReduceLROnPlateau(patience=1, factor=0.1, verbose=0)
    rates = fit(ImageClassifier, callback, [5, 5, 4, 3], 4, rate)
    expected = [0.5, 0.5 * 0.9, 0.05 * 0.9**2, 0.05 * 0.9**3]
    assert rates == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: paddle.optimizer.lr.StepDecay(0.5, 3),
        lambda: paddle.optimizer.lr.CosineAnnealingDecay(0.5, 9, 0.01),
        lambda: paddle.optimizer.lr.PiecewiseDecay([3, 6], [0.5, 0.2, 0.1]),
        lambda: paddle.optimizer.lr.PolynomialDecay(0.5, 9, end_lr=0.1),
        lambda: paddle.optimizer.lr.LinearWarmup(
            paddle.optimizer.lr.StepDecay(0.5, 3), 4, 0.1, 0.5
        ),
        lambda: paddle.optimizer.lr.NoamDecay(10, 4, 0.5),
    ],
    ids=["step", "cosine", "piecewise", "polynomial", "warm-up", "noam"],
)
@pytest.mark.parametrize("moment", [0, 2, 5])
def test_every_kind_of_scheduler_is_scaled_as_a_whole(make, moment):
    plain, scaled = make(), make()
    for step in range(9):
        if step == moment:
            scale_scheduler(scaled, 0.25)
        factor = 0.25 if step >= moment else 1.0
        assert scaled() == pytest.approx(factor * plain(), rel=1e-6), step
        plain.step()
        scaled.step()
