"""Every documented argument of `fit`, with the base class as control."""

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
    weights,
)


def expected(net, images=IMAGES):
    with paddle.no_grad():
        return net(paddle.to_tensor(images)).numpy()


def accuracy(net):
    return (expected(net).argmax(1) == LABELS).mean()


def steps(count, train_data, **kwargs):
    """How many training steps a fit of both classes takes."""

    def check(base):
        calls = Calls()
        prepared(base).fit(train_data(), verbose=0, callbacks=[calls], **kwargs)
        assert calls.count("on_train_batch_end") == count

    return check


@conforms
@KINDS
def test_fit_train_data(base, kind):
    model, calls = prepared(base), Calls()
    before = weights(model)
    model.fit(DATA[kind](), batch_size=4, verbose=0, callbacks=[calls])
    assert calls.count("on_train_batch_end") == 3
    assert not np.array_equal(before["1.weight"], weights(model)["1.weight"])


@conforms
def test_fit_train_data_that_is_a_stream(base):
    """A bare IterableDataset is given a sampler, which asks for its length."""
    steps(3, Stream, batch_size=4)(base)


@conforms
@KINDS
def test_fit_eval_data(base, kind):
    model, calls = prepared(base), Calls()
    model.fit(BATCHES, DATA[kind](), batch_size=4, verbose=0, callbacks=[calls])
    assert calls.count("on_eval_batch_end") == 3
    assert calls.logs("on_eval_end")[0]["acc"] == pytest.approx(accuracy(model.network))


@conforms
def test_fit_without_train_data_is_refused(base):
    with pytest.raises(Exception, match="train_data"):
        prepared(base).fit()


@conforms
@pytest.mark.parametrize("size", [5, [5, 2], (5, 2)], ids=str)
def test_fit_batch_size(base, size):
    calls = Calls()
    prepared(base).fit(Pairs(), Pairs(), batch_size=size, verbose=0, callbacks=[calls])
    evaluated = 2 if size == 5 else 5
    assert calls.count("on_train_batch_end") == 2
    assert calls.count("on_eval_batch_end") == evaluated


@conforms
def test_fit_batch_size_of_three_numbers_is_refused(base):
    with pytest.raises(Exception, match="batch_size"):
        prepared(base).fit(Pairs(), batch_size=[1, 2, 3], verbose=0)


@conforms
def test_fit_batch_size_is_1_by_default(base):
    steps(10, Pairs)(base)


@conforms
def test_fit_batch_size_of_a_loader_is_ignored(base):
    steps(3, DATA["DataLoader"], batch_size=2)(base)


@conforms
@pytest.mark.parametrize("epochs", [1, 3])
def test_fit_epochs(base, epochs):
    steps(3 * epochs, lambda: BATCHES, epochs=epochs)(base)


@conforms
@pytest.mark.parametrize(("freq", "evaluations"), [(1, 4), (2, 2), (4, 1)])
def test_fit_eval_freq(base, freq, evaluations):
    calls = Calls()
    model = prepared(base)
    model.fit(BATCHES, BATCHES, epochs=4, eval_freq=freq, verbose=0, callbacks=[calls])
    assert calls.count("on_eval_end") == evaluations


@conforms
def test_fit_verbose_0_is_silent(base, capfd):
    prepared(base).fit(BATCHES, BATCHES, verbose=0)
    assert capfd.readouterr().out == ""


@conforms
@pytest.mark.parametrize("verbose", [1, 2])
def test_fit_verbose(base, verbose, capfd):
    prepared(base).fit(BATCHES, epochs=2, verbose=verbose)
    out = capfd.readouterr().out.lower()
    assert "epoch 1/2" in out
    assert "epoch 2/2" in out
    assert "loss" in out
    assert "acc" in out


@conforms
def test_fit_log_freq(base, capfd):
    lines = []
    for freq in (1, 2):
        prepared(base).fit(BATCHES * 2, log_freq=freq, verbose=2)
        lines.append(capfd.readouterr().out.count("step"))
    assert lines[0] > lines[1] > 0


@conforms
@pytest.mark.parametrize(("freq", "names"), [(1, "012"), (2, "02"), (3, "0")])
def test_fit_save_dir_and_save_freq(base, freq, names, tmp_path, capfd):
    prepared(base).fit(BATCHES, epochs=3, save_dir=str(tmp_path), save_freq=freq, verbose=0)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{n}.{end}" for n in [*names, "final"] for end in ("pdparams", "pdopt")}


@conforms
@pytest.mark.parametrize(("drop", "count"), [(True, 2), (False, 3)])
def test_fit_drop_last(base, drop, count):
    steps(count, Pairs, batch_size=4, drop_last=drop)(base)


@conforms
@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_shuffle(base, shuffle):
    net = Seen()
    prepared(base, net).fit(Pairs(), batch_size=4, epochs=2, shuffle=shuffle, verbose=0)
    order = [index for batch in net.order for index in batch]
    assert sorted(order) == sorted(2 * list(range(10)))
    assert (order == 2 * list(range(10))) == (not shuffle)


@conforms
@pytest.mark.parametrize("workers", [0, 1])
def test_fit_num_workers(base, workers):
    net = Seen()
    model = prepared(base, net)
    model.fit(Pairs(), batch_size=4, num_workers=workers, shuffle=False, verbose=0)
    assert net.order == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@conforms
@pytest.mark.parametrize("form", [lambda c: c, lambda c: [c], lambda c: (c,)])
def test_fit_callbacks(base, form):
    calls = Calls()
    if isinstance(form(calls), tuple):
        prepared(base).fit(BATCHES, verbose=0, callbacks=list(form(calls)))
    else:
        prepared(base).fit(BATCHES, verbose=0, callbacks=form(calls))
    assert calls.count("on_train_end") == 1


@conforms
def test_fit_accumulate_grad_batches(base):
    model = prepared(base)
    before, changes = weights(model)["1.weight"], []

    class Changes(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            changes.append(not np.array_equal(before, weights(model)["1.weight"]))

    model.fit(BATCHES, accumulate_grad_batches=2, verbose=0, callbacks=[Changes()])
    assert changes == [False, True, True]


@conforms
@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 9])
def test_fit_num_iters(base, count):
    steps(count, lambda: BATCHES, num_iters=count)(base)


@conforms
def test_fit_num_iters_wins_over_epochs(base):
    steps(4, lambda: BATCHES, epochs=9, num_iters=4)(base)


@conforms
def test_fit_num_iters_of_unknown_length(base):
    steps(4, DATA["DataLoader of a stream"], epochs=3, num_iters=4)(base)


@conforms
def test_fit_num_iters_0_is_refused(base):
    with pytest.raises(Exception, match="num_iters"):
        prepared(base).fit(BATCHES, num_iters=0, verbose=0)


@conforms
def test_fit_without_prepare_is_refused_in_a_sentence(base):
    """AttributeError of a private name."""
    with pytest.raises(Exception, match="prepare"):
        base(network()).fit(Pairs(), verbose=0)


@conforms
def test_fit_calls_train_batch_and_eval_batch_of_a_subclass(base):
    seen = []

    class Own(base):
        def train_batch(self, inputs, labels=None, update=True):
            seen.append(("train", inputs[0].shape[0], update))
            return super().train_batch(inputs, labels, update)

        def eval_batch(self, inputs, labels=None):
            seen.append(("eval", inputs[0].shape[0]))
            return super().eval_batch(inputs, labels)

    model = prepared(Own)
    model.fit(BATCHES, BATCHES, accumulate_grad_batches=2, verbose=0)
    model.evaluate(BATCHES[:1], verbose=0)
    assert seen == [
        ("train", 4, False),
        ("train", 4, True),
        ("train", 2, True),
        *[("eval", size) for size in (4, 4, 2, 4)],
    ]
