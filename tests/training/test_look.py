"""Looks at the speed of evaluation, in real trainings on a clock that the network itself moves."""

import pytest
from paddle import nn
from paddle.optimizer import SGD

from paddle_resnet import ImageClassifier
from paddle_resnet.config import load_config
from paddle_resnet.data.splits import load_splits
from paddle_resnet.evaluation import final_test
from paddle_resnet.models.precision import Precision
from paddle_resnet.training.callbacks.look import Look
from paddle_resnet.training.loop.batch_stream import BatchStream
from paddle_resnet.training.loop.progress import TimeBudget
from paddle_resnet.training.setup.time_plan import measure_eval_speed, plan_rounds

BUDGET = 300
OVERRIDES = (
    f"train.budget={BUDGET}s", "data.root=sample", "data.limit=64", "train.batch_size=16",
    "train.eval_batch_size=100",
)  # fmt: skip


def train(network, load, with_looks):
    """Train for the budget; return the test's evaluation, the pace and the looks."""
    now = [0.0]
    pace = TimeBudget(BUDGET, test_images=500, clock=lambda: now[0])

    def passes(layer, inputs, outputs):
        # A step takes 3.2 s at first, the test set 50 s.
        each = 0.2 if layer.training else 0.1
        now[0] += each * inputs[0].shape[0] * load(now[0])
        sizes.append((layer.training, inputs[0].shape[0]))

    sizes = []
    network.register_forward_post_hook(passes)
    config = load_config("quickstart", OVERRIDES)
    parts = load_splits(config, notify=lambda line: None)
    model = ImageClassifier(network)
    model.prepare(SGD(0.01, parameters=network.parameters()), nn.CrossEntropyLoss())
    pace.begin()
    measure_eval_speed(config, network, parts, pace)
    validation = plan_rounds(pace, parts, False, lambda line: None)
    looks = [Look(pace, parts.input_shape, 100, Precision())] if with_looks else []
    stream = BatchStream(parts.train, pace)
    model.fit(
        stream, validation, epochs=pace.rounds, pace=pace, callbacks=[pace, *looks], verbose=0
    )
    assert pace.steps == sum(training for training, _ in sizes)
    lines = []
    evaluation, _ = final_test.test(network, None, parts, pace, lines.append, "none", Precision())
    return evaluation, now[0], sizes.count((False, pace.look_images))


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))


def test_the_test_set_is_whole_although_evaluation_became_slower():
    def load(now):
        return 1.6 if now > 180 else 1.0

    evaluation, end, looks = train(linear(), load, with_looks=True)
    assert len(evaluation.labels) == 500
    assert end == pytest.approx(BUDGET, rel=0.05)
    assert 2 <= looks <= 12
    # Without them it is cut: the test can fail.
    evaluation, _, _ = train(linear(), load, with_looks=False)
    assert len(evaluation.labels) < 450


def test_a_look_leaves_the_network_as_it_is(tiny):
    before = {name: tensor.numpy() for name, tensor in tiny.state_dict().items()}
    tiny.train()
    now = 0.0
    pace = TimeBudget(10, test_images=500, clock=lambda: now)
    look = Look(pace, [3, 32, 32], 100, Precision())
    look.set_model(ImageClassifier(tiny))
    pace.begin()
    pace.evaluation_took(1e-3, 1)
    assert not pace.should_look()
    now = 9.1
    assert pace.should_look()
    look.on_train_batch_end(0)
    assert pace.test_seconds == 0  # this clock stood still
    assert tiny.training
    for name, tensor in tiny.state_dict().items():
        assert (tensor.numpy() == before[name]).all()
