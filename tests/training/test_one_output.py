"""Metrics of networks with one output, and of images with several labels: right, or refused."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.errors import TrainingError
from paddle_resnet.training import ImageClassifier

#: The network answers with the image's one pixel, so that the right figure is known.
LOGITS = np.float32([3, -2, 0.5, -0.1, -4, 6, 0.2, -1]).reshape(8, 1)
LABELS = np.float32([1, 0, 0, 1, 0, 1, 1, 0]).reshape(8, 1)
PREDICTED = (LOGITS > 0).astype(int)
ACCURACY = (PREDICTED == LABELS).mean()
HITS = (PREDICTED * LABELS).sum()
PRECISION, RECALL = HITS / PREDICTED.sum(), HITS / LABELS.sum()


class Answer(nn.Layer):
    def __init__(self, sigmoid=False):
        super().__init__()
        self.weight = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))
        self.sigmoid = sigmoid

    def forward(self, x):
        y = x * self.weight
        return nn.functional.sigmoid(y) if self.sigmoid else y


def evaluated(metric, loss=None, base=ImageClassifier, labels=LABELS, logits=LOGITS):
    loss = loss or nn.BCEWithLogitsLoss()
    model = base(Answer(sigmoid=isinstance(loss, nn.BCELoss)))
    model.prepare(loss=loss, metrics=metric)
    return model.evaluate([(logits[:5], labels[:5]), (logits[5:], labels[5:])], verbose=0)


LOSSES = pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.BCELoss()], ids=type)


@LOSSES
def test_accuracy(loss):
    assert evaluated(paddle.metric.Accuracy(), loss)["acc"] == pytest.approx(ACCURACY)


def test_accuracy_of_the_base_class_counts_the_images_of_class_0():
    result = evaluated(paddle.metric.Accuracy(), base=paddle.Model)
    assert result["acc"] == pytest.approx((LABELS == 0).mean())
    assert result["acc"] != pytest.approx(ACCURACY)


def test_accuracy_while_training():
    net = Answer()
    model = ImageClassifier(net)
    optimizer = paddle.optimizer.SGD(1e-9, net.parameters())
    model.prepare(optimizer, nn.BCEWithLogitsLoss(), paddle.metric.Accuracy())
    history = model.fit([(LOGITS, LABELS)], verbose=0)
    assert history["acc"][0] == pytest.approx(ACCURACY)


@LOSSES
def test_accuracy_of_several_ranks(loss):
    result = evaluated(paddle.metric.Accuracy(topk=(1, 2)), loss)
    assert (result["acc_top1"], result["acc_top2"]) == pytest.approx((ACCURACY, 1.0))


def test_smoothed_labels():
    labels = 0.1 + 0.8 * LABELS
    assert evaluated(paddle.metric.Accuracy(), labels=labels)["acc"] == pytest.approx(ACCURACY)


@LOSSES
@pytest.mark.parametrize(
    ("metric", "value"),
    [(paddle.metric.Precision, PRECISION), (paddle.metric.Recall, RECALL)],
    ids=["Precision", "Recall"],
)
def test_precision_and_recall(metric, value, loss):
    assert evaluated(metric(name="m"), loss)["m"] == pytest.approx(value)


def test_precision_of_the_base_class_wants_probabilities():
    result = evaluated(paddle.metric.Precision(name="m"), base=paddle.Model)
    assert result["m"] != pytest.approx(PRECISION)


@LOSSES
def test_auc(loss):
    pairs = [(p, n) for p in LOGITS[LABELS == 1] for n in LOGITS[LABELS == 0]]
    area = np.mean([p > n for p, n in pairs])
    assert evaluated(paddle.metric.Auc(name="m"), loss)["m"] == pytest.approx(area, abs=1e-3)


@pytest.mark.parametrize(
    "loss",
    [nn.CrossEntropyLoss(), nn.MSELoss(), lambda out, y: (out - y).mean()],
    ids=["CrossEntropyLoss", "MSELoss", "lambda"],
)
def test_accuracy_without_a_meaning_is_refused(loss):
    labels = np.zeros([8, 1], np.int64) if isinstance(loss, nn.CrossEntropyLoss) else LABELS
    with pytest.raises(TrainingError, match="Accuracy of a network with one output"):
        evaluated(paddle.metric.Accuracy(), loss, labels=labels)


def test_precision_of_probabilities_needs_no_known_loss():
    def loss(outputs, labels):
        return (outputs - labels).mean()

    share = 1 / (1 + np.exp(-LOGITS))
    result = evaluated(paddle.metric.Precision(name="m"), loss, logits=share)
    assert result["m"] == pytest.approx(PRECISION)


def test_a_metric_of_the_users_gets_what_it_always_got():
    class Mean(paddle.metric.Metric):
        def reset(self):
            self.seen = []

        def update(self, value):
            self.seen.append(value)

        def accumulate(self):
            return float(np.concatenate(self.seen).mean())

        def name(self):
            return "mean"

        def compute(self, output, label):
            return output

    assert evaluated(Mean())["mean"] == pytest.approx(LOGITS.mean())


SEVERAL = np.float32([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize("labels", [SEVERAL, 0 * SEVERAL], ids=["several", "none"])
def test_accuracy_of_images_with_several_labels_is_refused(labels):
    model = ImageClassifier(nn.Linear(3, 3))
    model.prepare(loss=nn.BCEWithLogitsLoss(), metrics=paddle.metric.Accuracy())
    with pytest.raises(TrainingError, match="takes one class an image"):
        model.evaluate([(SEVERAL, labels)], verbose=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_accuracy_of_one_label_in_columns(smoothing):
    net = nn.Linear(3, 3)
    with paddle.no_grad():
        net.weight.set_value(paddle.eye(3))
    model = ImageClassifier(net)
    model.prepare(loss=nn.BCEWithLogitsLoss(), metrics=paddle.metric.Accuracy())
    ones = np.eye(3, dtype=np.float32)
    labels = ones * (1 - smoothing) + smoothing / 3
    assert model.evaluate([(ones, labels)], verbose=0)["acc"] == 1.0
