"""The constructor, the methods for one batch, and what a model says of its network."""

import numpy as np
import paddle
import pytest
from conformance import (
    BATCHES,
    IMAGES,
    LABELS,
    answers,
    conforms,
    go,
    moved,
    network,
    own_answers,
    prepared,
    weights,
)
from paddle import nn
from paddle.static import InputSpec

BARE = {"array": lambda array: array, "tensor": paddle.to_tensor}
LISTS = {
    "list of arrays": lambda array: [array],
    "list of tensors": lambda array: [paddle.to_tensor(array)],
}
FORMS = pytest.mark.parametrize("form", [*BARE, *LISTS])
IMAGE = InputSpec([None, 3, 2, 2], "float32", "image")
LABEL = InputSpec([None, 1], "int64", "label")


class Sum(nn.Layer):
    """A network of two inputs."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, first, second):
        return self.inner(first) + 2 * self.inner(second)


# -- the constructor ---------------------------------------------------------------------------


@conforms
@pytest.mark.parametrize("form", [IMAGE, [IMAGE], (IMAGE,)], ids=["one", "list", "tuple"])
@pytest.mark.parametrize("labels", [None, LABEL, [LABEL]], ids=["none", "one", "list"])
def test_inputs_and_labels(base, form, labels, tmp_path):
    net = network()
    model = base(net, form, labels)
    model.prepare(paddle.optimizer.SGD(0.1, net.parameters()), nn.CrossEntropyLoss())
    model.fit(BATCHES, verbose=0)
    model.save(str(tmp_path / "m"), training=False)
    np.testing.assert_allclose(answers(str(tmp_path / "m")), own_answers(net), atol=1e-6)


@conforms
def test_inputs_in_a_dict(base):
    """A dict of inputs, which the page documents, fails an assertion."""
    specs = {"second": InputSpec([None, 3, 2, 2], "float32", "second")}
    specs["first"] = InputSpec([None, 3, 2, 2], "float32", "first")
    model = base(Sum(), specs)
    model.prepare(loss=nn.CrossEntropyLoss())
    (outputs,) = model.predict([(IMAGES, 0 * IMAGES, LABELS)], stack_outputs=True, verbose=0)
    np.testing.assert_allclose(outputs, own_answers(model.network.inner) + own_bias(model))


def own_bias(model):
    """Twice the answer to black images."""
    return 2 * own_answers(model.network.inner, 0 * IMAGES)


@conforms
def test_inputs_without_a_name_are_refused(base):
    with pytest.raises(ValueError, match="name"):
        base(network(), InputSpec([None, 3, 2, 2]))


@conforms
def test_two_inputs(base):
    model = prepared(base, Sum())
    model.fit([(x, x, y) for x, y in BATCHES], verbose=0)
    result = model.evaluate([(x, x, y) for x, y in BATCHES], verbose=0)
    assert set(result) == {"loss", "acc"}


@conforms
def test_two_labels(base):
    net = network()
    model = base(net)
    half = nn.CrossEntropyLoss()
    model.prepare(
        paddle.optimizer.SGD(0.1, net.parameters()),
        lambda out, first, second: half(out, first) + half(out, second),
    )
    before = weights(model)
    model.fit([(x, y, y) for x, y in BATCHES], verbose=0)
    assert moved(before, model)


# -- methods for a batch -----------------------------------------------------------------------


@conforms
@FORMS
@pytest.mark.parametrize("metrics", [True, False])
def test_train_batch_inputs(base, form, metrics):
    train_one_batch(base, {**BARE, **LISTS}[form](IMAGES), [LABELS], metrics)


@conforms
@pytest.mark.parametrize("form", list(LISTS))
def test_train_batch_labels_in_a_list(base, form):
    train_one_batch(base, IMAGES, LISTS[form](LABELS), True)


@conforms
@pytest.mark.parametrize("form", list(BARE))
def test_train_batch_labels(base, form):
    """Labels that are no list: the truth value of an array is asked for."""
    train_one_batch(base, IMAGES, BARE[form](LABELS), True)


def train_one_batch(base, images, labels, metrics):
    model = prepared(base, metrics=metrics)
    before = weights(model)
    loss = float(nn.CrossEntropyLoss()(model.network(paddle.to_tensor(IMAGES)), to_label()))
    hits = (own_answers(model.network).argmax(1) == LABELS).mean()
    figures = model.train_batch(images, labels)
    losses = figures[0] if metrics else figures
    assert isinstance(losses, list)
    assert isinstance(losses[0], np.ndarray)
    assert float(losses[0]) == pytest.approx(loss, rel=1e-5)
    assert moved(before, model)
    if metrics:
        assert float(figures[1][0]) == pytest.approx(hits)


def to_label():
    return paddle.to_tensor(LABELS)


@conforms
def test_train_batch_without_labels(base):
    net = network()
    model = base(net)
    model.prepare(paddle.optimizer.SGD(0.1, net.parameters()), lambda out: (out**2).mean())
    before = weights(model)
    (loss,) = model.train_batch([IMAGES])
    assert loss > 0
    assert moved(before, model)


@conforms
def test_train_batch_update(base):
    model = prepared(base)
    before = weights(model)
    model.train_batch([IMAGES[:5]], [LABELS[:5]], update=False)
    assert not moved(before, model)
    model.train_batch([IMAGES[5:]], [LABELS[5:]], update=True)
    first = weights(model)
    assert moved(before, model)
    # The gradient of the first batch was kept: the second alone would give another step.
    other = prepared(base)
    other.train_batch([IMAGES[5:]], [LABELS[5:]])
    assert moved(first, other)


@conforms
def test_train_batch_before_prepare_is_refused(base):
    with pytest.raises(Exception, match="prepare"):
        base(network()).train_batch([IMAGES], [LABELS])


@conforms
@FORMS
@pytest.mark.parametrize("what", ["both", "loss", "metrics"])
def test_eval_batch_inputs(base, form, what):
    evaluate_one_batch(base, {**BARE, **LISTS}[form](IMAGES), [LABELS], what)


@conforms
@pytest.mark.parametrize("form", list(LISTS))
def test_eval_batch_labels_in_a_list(base, form):
    evaluate_one_batch(base, IMAGES, LISTS[form](LABELS), "both")


@conforms
@pytest.mark.parametrize("form", list(BARE))
def test_eval_batch_labels(base, form):
    """Labels that are no list: the truth value of an array is asked for."""
    evaluate_one_batch(base, IMAGES, BARE[form](LABELS), "both")


def evaluate_one_batch(base, images, labels, what):
    model = base(network())
    model.prepare(
        loss=None if what == "metrics" else nn.CrossEntropyLoss(),
        metrics=None if what == "loss" else paddle.metric.Accuracy(),
    )
    loss = float(nn.CrossEntropyLoss()(model.network(paddle.to_tensor(IMAGES)), to_label()))
    hits = (own_answers(model.network).argmax(1) == LABELS).mean()
    figures = model.eval_batch(images, labels)
    if what == "both":
        losses, metrics = figures
    else:
        losses, metrics = (figures, []) if what == "loss" else ([], figures)
    assert [float(each) for each in losses] == pytest.approx([] if what == "metrics" else [loss])
    assert [float(each) for each in metrics] == pytest.approx([] if what == "loss" else [hits])


@conforms
def test_eval_batch_before_prepare_is_refused_in_a_sentence(base):
    """AttributeError of a private name."""
    with pytest.raises(Exception, match="prepare"):
        base(network()).eval_batch([IMAGES], [LABELS])


@conforms
@FORMS
@pytest.mark.parametrize("ready", [True, False])
def test_predict_batch_inputs(base, form, ready):
    net = network()
    model = base(net)
    if ready:
        model.prepare()
    (outputs,) = model.predict_batch({**BARE, **LISTS}[form](IMAGES))
    np.testing.assert_allclose(outputs, own_answers(net), atol=1e-6)


# -- parameters and summary --------------------------------------------------------------------


@conforms
def test_parameters(base):
    net = network()
    given = base(net).parameters()
    assert isinstance(given, list)
    assert [p.name for p in given] == [p.name for p in net.parameters()]


@conforms
@pytest.mark.parametrize(
    "size", [(1, 3, 2, 2), [(1, 3, 2, 2)], IMAGE, [IMAGE]], ids=["tuple", "list", "spec", "specs"]
)
def test_summary_input_size(base, size, capfd):
    counts = base(network()).summary(size)
    assert counts == {"total_params": 39, "trainable_params": 39}
    assert "Linear" in capfd.readouterr().out


@conforms
def test_summary_of_inputs(base, capfd):
    assert base(network(), IMAGE).summary()["total_params"] == 39


@conforms
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_summary_dtype(base, dtype, capfd):
    assert base(network()).summary((1, 3, 2, 2), dtype)["total_params"] == 39


@conforms
@pytest.mark.parametrize("run", ["fit", "evaluate", "predict", "train_batch", "eval_batch"])
def test_summary_after_a_run(base, run, capfd):
    model = prepared(base)
    go(model, run)
    assert model.summary()["total_params"] == 39
