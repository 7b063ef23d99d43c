"""Subclasses with methods for a batch of their own, and a late switch to static graph mode."""

import numpy as np
import paddle
import pytest
from conformance import BATCHES, IMAGES, LABELS, Pairs, network, prepared, weights
from paddle import nn

from paddle_resnet.errors import TrainingError
from paddle_resnet.training import ImageClassifier


class ByHand(ImageClassifier):
    """A step of one's own, as users of `paddle.Model` write it."""

    def train_batch(self, inputs, labels=None, update=True):
        self.network.train()
        loss = self._loss(self.network(*inputs), *labels)
        loss.backward()
        if update:
            self._optimizer.step()
            self._optimizer.clear_grad()
        return [loss.numpy()]


class Halved(ImageClassifier):
    """Changes what a batch is, and leaves the step to the class."""

    def train_batch(self, inputs, labels=None, update=True):
        return super().train_batch([0.5 * inputs[0]], labels, update)


class Doubled(ImageClassifier):
    """Reports another loss than the class's own."""

    def train_batch(self, inputs, labels=None, update=True):
        (loss,) = super().train_batch(inputs, labels, update)
        return [2 * loss]

    def eval_batch(self, inputs, labels=None):
        (loss,) = super().eval_batch(inputs, labels)
        return [2 * loss]


def fitted(base, **kwargs):
    model = prepared(base, metrics=False)
    history = model.fit(BATCHES, BATCHES, epochs=2, verbose=0, **kwargs)
    return model, history


def test_a_step_of_ones_own_trains_as_ours():
    (one, first), (two, second) = fitted(ByHand), fitted(ImageClassifier)
    assert first["loss"] == pytest.approx(second["loss"], rel=1e-6)
    for name, array in weights(one).items():
        np.testing.assert_allclose(array, weights(two)[name], atol=1e-6)


def test_a_step_of_ones_own_is_told_when_to_update():
    seen = []

    class Seen(ByHand):
        def train_batch(self, inputs, labels=None, update=True):
            seen.append(update)
            return super().train_batch(inputs, labels, update)

    fitted(Seen, accumulate_grad_batches=2)
    assert seen == 2 * [False, True, True]


def test_a_changed_batch_reaches_the_network():
    halves = [(0.5 * x, y) for x, y in BATCHES]
    one = prepared(Halved, metrics=False)
    two = prepared(ImageClassifier, metrics=False)
    one.fit(BATCHES, verbose=0)
    two.fit(halves, verbose=0)
    for name, array in weights(one).items():
        np.testing.assert_array_equal(array, weights(two)[name])


def test_the_returned_loss_is_the_one_that_is_kept():
    (_, one), (_, two) = fitted(Doubled), fitted(ImageClassifier)
    assert one["loss"] == pytest.approx([2 * value for value in two["loss"]], rel=1e-6)
    assert one["val_loss"] == pytest.approx([2 * value for value in two["val_loss"]], rel=1e-6)


def test_a_method_that_is_put_on_the_object():
    model, seen = prepared(ImageClassifier), []
    own = model.train_batch
    model.train_batch = lambda *args: (seen.append(1), own(*args))[1]
    model.fit(BATCHES, verbose=0)
    assert len(seen) == 3


def test_a_mean_is_that_over_all_samples_with_a_step_of_ones_own():
    losses = {4: 1.0, 2: 7.0}

    class Fixed(ByHand):
        def train_batch(self, inputs, labels=None, update=True):
            super().train_batch(inputs, labels, update)
            return [np.float32(losses[len(inputs[0])])]

    _, history = fitted(Fixed)
    assert history["loss"][0] == pytest.approx((8 * 1.0 + 2 * 7.0) / 10)


def test_train_batch_without_update_takes_the_mean_of_the_group():
    """The base class adds gradients up, so that the rate grows with the number of batches."""
    one, two = prepared(ImageClassifier, metrics=False), prepared(ImageClassifier, metrics=False)
    one.train_batch([IMAGES[:4]], [LABELS[:4]], update=False)
    one.train_batch([IMAGES[4:]], [LABELS[4:]])
    two.train_batch([IMAGES], [LABELS])
    for name, array in weights(one).items():
        np.testing.assert_allclose(array, weights(two)[name], atol=1e-6)


def test_a_loss_of_nan_in_train_batch_changes_nothing():
    model = prepared(ImageClassifier)
    before = weights(model)
    with pytest.raises(TrainingError, match="the loss became nan: this step was left out"):
        model.train_batch([np.full_like(IMAGES, np.nan)], [LABELS])
    for name, array in weights(model).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.fixture
def static():
    paddle.enable_static()
    yield
    paddle.disable_static()


CALLS = {
    "fit": lambda m: m.fit(Pairs(), batch_size=4, verbose=0),
    "evaluate": lambda m: m.evaluate(Pairs(), batch_size=4, verbose=0),
    "predict": lambda m: m.predict(Pairs(), batch_size=4, verbose=0),
    "train_batch": lambda m: m.train_batch([IMAGES], [LABELS]),
    "eval_batch": lambda m: m.eval_batch([IMAGES], [LABELS]),
    "predict_batch": lambda m: m.predict_batch([IMAGES]),
    "prepare": lambda m: m.prepare(loss=nn.CrossEntropyLoss()),
    "save": lambda m: m.save("m"),
    "load": lambda m: m.load("m"),
    "summary": lambda m: m.summary((1, 3, 2, 2)),
}


@pytest.mark.parametrize("method", list(CALLS))
def test_a_late_switch_to_static_graph_mode_is_said(method, request):
    model = prepared(ImageClassifier)
    request.getfixturevalue("static")
    with pytest.raises(TrainingError, match=rf"{method} of ImageClassifier .*disable_static"):
        CALLS[method](model)


def test_static_graph_mode_is_refused_by_the_constructor(static):
    with pytest.raises(TrainingError, match="disable_static"):
        ImageClassifier("resnet20")


@pytest.mark.parametrize("method", ["evaluate", "eval_batch", "train_batch", "fit"])
def test_what_needs_prepare_says_so(method):
    with pytest.raises(TrainingError, match=rf"{method} needs prepare\("):
        CALLS[method](ImageClassifier(network()))
