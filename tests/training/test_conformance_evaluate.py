"""Every documented argument of `evaluate` and `predict`, with the base class as control."""

import numpy as np
import paddle
import pytest
from conformance import (
    BATCHES,
    DATA,
    IMAGES,
    KINDS,
    LABELS,
    Calls,
    Pairs,
    Seen,
    Stream,
    conforms,
    network,
    prepared,
)
from paddle import nn


def expected(net, images=IMAGES):
    with paddle.no_grad():
        return net(paddle.to_tensor(images)).numpy()


def accuracy(net):
    return (expected(net).argmax(1) == LABELS).mean()


# -- evaluate ----------------------------------------------------------------------------------


@conforms
@KINDS
def test_evaluate_eval_data(base, kind):
    model = prepared(base)
    result = model.evaluate(DATA[kind](), batch_size=4, verbose=0)
    assert set(result) == {"loss", "acc"}
    assert result["acc"] == pytest.approx(accuracy(model.network))


@conforms
def test_evaluate_eval_data_that_is_a_stream(base):
    """A bare IterableDataset is given a sampler, which asks for its length."""
    model = prepared(base)
    result = model.evaluate(Stream(), batch_size=4, verbose=0)
    assert result["acc"] == pytest.approx(accuracy(model.network))


@conforms
@pytest.mark.parametrize(("size", "count"), [(None, 10), (4, 3), (10, 1)])
def test_evaluate_batch_size(base, size, count):
    calls = Calls()
    kwargs = {} if size is None else {"batch_size": size}
    prepared(base).evaluate(Pairs(), verbose=0, callbacks=[calls], **kwargs)
    assert calls.count("on_eval_batch_end") == count


@conforms
def test_evaluate_log_freq(base, capfd):
    lines = []
    for freq in (1, 2):
        prepared(base).evaluate(BATCHES * 2, log_freq=freq)
        lines.append(capfd.readouterr().out.count("step"))
    assert lines[0] > lines[1] > 0


@conforms
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_evaluate_verbose(base, verbose, capfd):
    prepared(base).evaluate(BATCHES, verbose=verbose)
    assert ("acc" in capfd.readouterr().out) == (verbose > 0)


@conforms
@pytest.mark.parametrize("workers", [0, 1])
def test_evaluate_num_workers(base, workers):
    net = Seen()
    prepared(base, net).evaluate(Pairs(), batch_size=4, num_workers=workers, verbose=0)
    assert net.order == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@conforms
@pytest.mark.parametrize("form", [lambda c: c, lambda c: [c]])
def test_evaluate_callbacks(base, form):
    calls = Calls()
    prepared(base).evaluate(BATCHES, verbose=0, callbacks=form(calls))
    assert [name for name, _, _ in calls.calls if "batch" not in name][-2:] == [
        "on_eval_begin",
        "on_eval_end",
    ]


@conforms
@pytest.mark.parametrize("count", [1, 2, 3, 99])
def test_evaluate_num_iters(base, count):
    calls = Calls()
    prepared(base).evaluate(BATCHES, num_iters=count, verbose=0, callbacks=[calls])
    assert calls.count("on_eval_batch_end") == min(count, 3)


@conforms
def test_evaluate_num_iters_0_is_refused(base):
    with pytest.raises(Exception, match="num_iters"):
        prepared(base).evaluate(BATCHES, num_iters=0, verbose=0)


@conforms
@pytest.mark.parametrize("what", ["loss", "metrics", "neither"])
def test_evaluate_without(base, what):
    model = base(network())
    model.prepare(
        loss=nn.CrossEntropyLoss() if what == "metrics" else None,
        metrics=paddle.metric.Accuracy() if what == "loss" else None,
    )
    result = model.evaluate(BATCHES, verbose=0)
    assert set(result) == {"loss": {"acc"}, "metrics": {"loss"}, "neither": set()}[what]


@conforms
def test_evaluate_before_prepare_is_refused_in_a_sentence(base):
    """AttributeError of a private name."""
    with pytest.raises(Exception, match="prepare"):
        base(network()).evaluate(BATCHES, verbose=0)


# -- predict -----------------------------------------------------------------------------------


@conforms
@KINDS
def test_predict_test_data(base, kind):
    model = prepared(base)
    (outputs,) = model.predict(DATA[kind](), batch_size=4, stack_outputs=True, verbose=0)
    np.testing.assert_allclose(outputs, expected(model.network), atol=1e-6)


@conforms
def test_predict_test_data_that_is_a_stream(base):
    """A bare IterableDataset is given a sampler, which asks for its length."""
    model = prepared(base)
    (outputs,) = model.predict(Stream(), batch_size=4, stack_outputs=True, verbose=0)
    np.testing.assert_allclose(outputs, expected(model.network), atol=1e-6)


@conforms
def test_predict_test_data_without_labels(base):
    model = prepared(base)
    for data in (Pairs(with_labels=False), [x for x, _ in BATCHES]):
        (outputs,) = model.predict(data, batch_size=4, stack_outputs=True, verbose=0)
        np.testing.assert_allclose(outputs, expected(model.network), atol=1e-6)


@conforms
@pytest.mark.parametrize(("size", "count"), [(None, 10), (4, 3)])
def test_predict_batch_size(base, size, count):
    kwargs = {} if size is None else {"batch_size": size}
    (outputs,) = prepared(base).predict(Pairs(), verbose=0, **kwargs)
    assert len(outputs) == count


@conforms
@pytest.mark.parametrize("workers", [0, 1])
def test_predict_num_workers(base, workers):
    net = Seen()
    prepared(base, net).predict(Pairs(), batch_size=4, num_workers=workers, verbose=0)
    assert net.order == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@conforms
@pytest.mark.parametrize("stack", [True, False])
def test_predict_stack_outputs(base, stack):
    class Two(nn.Layer):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            y = self.inner(x)
            return y, 2 * y

    outputs = prepared(base, Two()).predict(Pairs(), batch_size=4, stack_outputs=stack, verbose=0)
    assert len(outputs) == 2
    if stack:
        assert [each.shape for each in outputs] == [(10, 3)] * 2
        np.testing.assert_array_equal(2 * outputs[0], outputs[1])
    else:
        assert [rows.shape for rows in outputs[0]] == [(4, 3), (4, 3), (2, 3)]


@conforms
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_predict_verbose(base, verbose, capfd):
    prepared(base).predict(Pairs(), verbose=verbose)
    out = capfd.readouterr().out
    assert (out == "") == (verbose == 0) or base is not paddle.Model


@conforms
@pytest.mark.parametrize("form", [lambda c: c, lambda c: [c]])
def test_predict_callbacks(base, form):
    calls = Calls()
    prepared(base).predict(BATCHES, verbose=0, callbacks=form(calls))
    assert (calls.count("on_predict_begin"), calls.count("on_predict_batch_end")) == (1, 3)
    assert calls.count("on_predict_end") == 1


@conforms
def test_predict_before_prepare(base):
    """AttributeError of a private name, though it needs nothing of `prepare`."""
    net = network()
    (outputs,) = base(net).predict(Pairs(), batch_size=4, stack_outputs=True, verbose=0)
    np.testing.assert_allclose(outputs, expected(net), atol=1e-6)


@conforms
def test_predict_calls_predict_batch_of_a_subclass(base):
    class Own(base):
        def predict_batch(self, inputs):
            return [np.full([len(inputs[0]), 1], 7.0)]

    (outputs,) = prepared(Own).predict(Pairs(), batch_size=4, stack_outputs=True, verbose=0)
    assert outputs.tolist() == [[7.0]] * 10
