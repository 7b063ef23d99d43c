"""Accumulated gradients against those of one big batch, on a network without batch norm."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle import nn

from paddle_resnet.errors import TrainingError
from paddle_resnet.training import ImageClassifier


def trained(batches, accumulate, optimizer=None, callbacks=None, **kwargs):
    """Return the weights after one epoch from a fixed start."""
    paddle.seed(5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    make = optimizer or (lambda ps: paddle.optimizer.SGD(0.1, ps))
    model = ImageClassifier(network)
    model.prepare(make(network.parameters()), nn.CrossEntropyLoss())
    model.fit(
        batches, epochs=1, verbose=0, accumulate_grad_batches=accumulate, callbacks=callbacks,
        **kwargs,
    )  # fmt: skip
    return [tensor.numpy() for tensor in network.parameters()]


def same(some, others):
    for a, b in zip(some, others):
        np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.fixture
def cut(sample):
    """Batches of given sizes, one after the other."""
    images = (sample.train_images[:60] / 255).astype(np.float32)
    labels = sample.train_labels[:60]

    def cut(*sizes):
        ends = np.cumsum(sizes)
        return [(images[e - n : e], labels[e - n : e]) for n, e in zip(sizes, ends)]

    return cut


def test_batches_of_unequal_sizes_are_weighed_by_their_samples(cut):
    same(trained(cut(7, 2, 16), 3), trained(cut(25), 1))


def test_a_last_group_that_is_not_full_is_divided_by_what_it_has(cut):
    same(trained(cut(8, 8, 8, 8, 8), 3), trained(cut(24, 16), 1))
    # The same where the loader does not know its length.
    same(trained((batch for batch in cut(8, 8, 8, 8, 8)), 3), trained(cut(24, 16), 1))
    same(trained(cut(8, 8, 8, 8), 3, num_iters=2), trained(cut(16), 1))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda ps: paddle.optimizer.Momentum(0.1, 0.9, ps, weight_decay=0.1),
        lambda ps: paddle.optimizer.SGD(0.1, ps, grad_clip=nn.ClipGradByGlobalNorm(0.1)),
    ],
)
def test_momentum_and_clipping_see_the_mean(cut, optimizer):
    same(trained(cut(8, 8, 8, 8), 2, optimizer), trained(cut(16, 16), 1, optimizer))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 10), min_size=1, max_size=6), st.integers(1, 4))
def test_any_sizes(sample, sizes, accumulate):
    images = (sample.train_images[:60] / 255).astype(np.float32)
    ends = np.cumsum(sizes)
    batches = [(images[e - n : e], sample.train_labels[e - n : e]) for n, e in zip(sizes, ends)]
    groups = [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]
    whole = [tuple(np.concatenate(each) for each in zip(*group)) for group in groups]
    same(trained(batches, accumulate), trained(whole, 1))


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("batches", [4, 5])
def test_schedulers_step_once_per_update(cut, kind, batches):
    rate = paddle.optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    by_step = paddle.callbacks.LRScheduler(by_step=True)
    data = kind(cut(*[8] * batches))
    trained(data, 2, lambda ps: paddle.optimizer.SGD(rate, ps), [by_step])
    assert rate() == pytest.approx(0.1 * 0.5 ** (2 if batches == 4 else 3))


class Stop(paddle.callbacks.Callback):
    def on_train_batch_end(self, step, logs=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["NaN", "Ctrl-C"])
def test_a_group_that_was_cut_short_leaves_no_gradients(cut, how):
    good = cut(8, 8)
    bad = [good[1], (np.full_like(good[0][0], np.nan), good[0][1])]
    paddle.seed(5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    model = ImageClassifier(network)
    model.prepare(paddle.optimizer.SGD(0.1, network.parameters()), nn.CrossEntropyLoss())
    options = {"epochs": 1, "verbose": 0, "accumulate_grad_batches": 2}
    with pytest.raises(TrainingError if how == "NaN" else KeyboardInterrupt):
        model.fit(bad, **options, callbacks=[] if how == "NaN" else [Stop()])
    model.fit(good, **options)
    same([tensor.numpy() for tensor in network.parameters()], trained(good, 2))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eval_freq": 0}, "eval_freq is 0, expected 1 or more"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches is 0"),
        ({"num_iters": 0}, "num_iters is 0"),
        (
            {"batch_size": (2, 2, 2)},
            r"batch_size is \(2, 2, 2\), expected a number, or two: training",
        ),
    ],
)
def test_numbers_that_make_no_sense_are_sentences(cut, options, words):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    model = ImageClassifier(network)
    model.prepare(paddle.optimizer.SGD(0.1, network.parameters()), nn.CrossEntropyLoss())
    with pytest.raises(TrainingError, match=words):
        model.fit(cut(8, 8), **{"verbose": 0, **options})


def test_the_base_class_sums_gradients_and_steps_schedulers_too_often(cut):
    """The faults that the tests above show repaired."""
    paddle.seed(5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    rate = paddle.optimizer.lr.StepDecay(0.1, step_size=100)
    model = paddle.Model(network)
    model.prepare(paddle.optimizer.SGD(rate, network.parameters()), nn.CrossEntropyLoss())
    start = network[1].weight.numpy().copy()
    model.fit(cut(8, 8), epochs=1, verbose=0, accumulate_grad_batches=2)
    mean = trained(cut(16), 1)[0]
    np.testing.assert_allclose(network[1].weight.numpy() - start, 2 * (mean - start), atol=1e-5)
    assert rate.last_epoch == 2
