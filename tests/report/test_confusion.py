import math

import numpy as np
import pytest

from paddle_resnet.report import confusion_figure
from paddle_resnet.report.confusion import class_scores, confusion_matrix, most_confused


@pytest.fixture
def labels_and_predicted():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 6, 500)
    predicted = np.where(rng.random(500) < 0.6, labels, rng.integers(0, 6, 500))
    return labels, predicted


def test_matrix_equals_counting_by_hand(labels_and_predicted):
    labels, predicted = labels_and_predicted
    matrix = confusion_matrix(labels, predicted, 7)
    for t in range(7):
        for p in range(7):
            pairs = sum(1 for a, b in zip(labels, predicted) if a == t and b == p)
            assert matrix[t, p] == pairs
    assert matrix.dtype == np.int64


def test_scores_follow_their_definitions(labels_and_predicted):
    labels, predicted = labels_and_predicted
    for score in class_scores(confusion_matrix(labels, predicted, 6)):
        own, said = labels == score.index, predicted == score.index
        precision, recall = own[said].mean(), said[own].mean()
        assert score.images == own.sum()
        assert score.precision == pytest.approx(precision)
        assert score.recall == pytest.approx(recall)
        assert score.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_class_that_never_occurs_has_no_scores():
    empty = class_scores(np.array([[3, 0], [0, 0]]))[1]
    assert empty.images == 0
    assert math.isnan(empty.precision)
    assert math.isnan(empty.recall)
    assert math.isnan(empty.f1)


def test_most_confused_are_the_largest_off_the_diagonal():
    matrix = np.array([[90, 3, 7], [0, 50, 0], [37, 1, 62]])
    pairs = [(m.true, m.predicted, m.count, m.images) for m in most_confused(matrix, 3)]
    assert pairs == [(2, 0, 37, 100), (0, 2, 7, 100), (0, 1, 3, 100)]
    assert len(most_confused(matrix, 99)) == 4  # mistakes that never happened are not listed
    assert most_confused(np.diag([4, 4]), 5) == []


def test_a_field_in_words():
    tip = confusion_figure.in_words("cat", "dog", 37, 1000)
    assert tip.replace("\u00a0", " ") == "cat taken for dog: 37 of 1,000 (3.7 %)"
    assert confusion_figure.in_words("cat", "cat", 1, 1).startswith("cat recognised: 1 of 1 ")
    assert confusion_figure.in_words("cat", "dog", 0, 0) == "cat taken for dog: 0 of 0"


def test_shades_grow_with_the_share_and_show_the_rarest_mistake():
    for right in (True, False):
        shades = [confusion_figure.shade(share, right) for share in np.linspace(0, 1, 400)]
        assert shades == sorted(shades)
        assert shades[0] == 0
        assert shades[-1] == confusion_figure.LEVELS
        assert confusion_figure.shade(1e-6, right) == 1
    assert confusion_figure.shade(0.05, right=False) > confusion_figure.shade(0.01, right=False)
