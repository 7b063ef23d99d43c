"""Every documented argument of `prepare`, with the base class as control."""

import warnings

import paddle
import pytest
from conformance import BATCHES, IMAGES, LABELS, conforms, moved, network, prepared, weights
from paddle import nn


@conforms
def test_prepare_optimizer_is_not_needed_for_evaluation(base):
    model = base(network())
    model.prepare(None, nn.CrossEntropyLoss(), paddle.metric.Accuracy())
    assert set(model.evaluate(BATCHES, verbose=0)) == {"loss", "acc"}


@conforms
@pytest.mark.parametrize(
    "loss",
    [nn.CrossEntropyLoss(), nn.functional.cross_entropy, lambda o, y: (o**2).mean()],
    ids=["Layer", "function", "lambda"],
)
def test_prepare_loss(base, loss):
    net = network()
    model = base(net)
    model.prepare(paddle.optimizer.SGD(0.1, net.parameters()), loss)
    before = weights(model)
    model.fit(BATCHES, BATCHES, verbose=0)
    assert moved(before, model)


@conforms
def test_prepare_loss_of_several_values(base):
    net = network()
    model = base(net)
    loss = nn.CrossEntropyLoss()
    model.prepare(paddle.optimizer.SGD(0.1, net.parameters()), lambda o, y: [loss(o, y), o.mean()])
    before = weights(model)
    assert len(model.train_batch([IMAGES], [LABELS])) == 2
    assert moved(before, model)


@conforms
def test_prepare_loss_that_is_none_is_refused(base):
    with pytest.raises(TypeError, match="loss"):
        base(network()).prepare(loss="cross entropy")


@conforms
@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (None, set()),
        (paddle.metric.Accuracy(), {"acc"}),
        ([paddle.metric.Accuracy(), paddle.metric.Accuracy(name="b")], {"acc", "b"}),
        (paddle.metric.Accuracy(topk=(1, 2)), {"acc_top1", "acc_top2"}),
    ],
    ids=["none", "one", "list", "of two values"],
)
def test_prepare_metrics(base, metrics, names):
    model = base(network())
    model.prepare(loss=nn.CrossEntropyLoss(), metrics=metrics)
    assert set(model.evaluate(BATCHES, verbose=0)) == {"loss"} | names


@conforms
def test_prepare_metrics_that_are_none_are_refused(base):
    with pytest.raises(AssertionError, match="Metric"):
        base(network()).prepare(metrics=max)


@conforms
@pytest.mark.parametrize(
    "configs",
    [
        None,
        {},
        "O0",
        "O1",
        {"level": "O0"},
        {"level": "O1"},
        {"init_loss_scaling": 64.0},
        {"level": "O1", "incr_ratio": 2.0, "decr_ratio": 0.5, "incr_every_n_steps": 9},
        {"decr_every_n_nan_or_inf": 2, "use_dynamic_loss_scaling": True},
        {"custom_white_list": {"matmul"}, "custom_black_list": {"softmax"}},
    ],
    ids=str,
)
def test_prepare_amp_configs(base, configs, recwarn):
    model = prepared(base, amp_configs=configs)
    before = weights(model)
    model.fit(BATCHES, verbose=0)
    assert moved(before, model)


@conforms
@pytest.mark.parametrize("configs", [None, {}, "", "O0"], ids=repr)
def test_prepare_amp_configs_that_are_off(base, configs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as for float16 without a GPU
        model = prepared(base, amp_configs=configs)
    assert model._scaler is None if hasattr(model, "_scaler") else base is paddle.Model


@conforms
@pytest.mark.parametrize(
    "configs",
    ["O3", {"level": "O3"}, {"use_pure_fp16": True}, {"use_fp16_guard": True}, {"lr": 1}],
    ids=str,
)
def test_prepare_amp_configs_that_are_refused(base, configs):
    with pytest.raises(Exception, match=r"O0|use_|lr"):
        prepared(base, amp_configs=configs)
