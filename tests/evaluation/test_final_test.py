"""What a finished training comes to, and what is said about it."""

import paddle
import pytest

from paddle_resnet.data import BatchLoader
from paddle_resnet.data.splits import DataSplits
from paddle_resnet.evaluation import final_test
from paddle_resnet.layers import BasicBlock
from paddle_resnet.models import ResNet
from paddle_resnet.models.precision import Precision
from paddle_resnet.weights import save_weights


def told(sample, best=None, classes=10):
    """Test an untrained network on 40 images of the first classes; return weights and lines."""
    chosen = (sample.test_labels < classes).nonzero()[0][:40]
    loader = BatchLoader(sample.test_images[chosen], sample.test_labels[chosen], 20)
    names = list(sample.classes[:classes])
    parts = DataSplits(loader, None, loader, names, None, None, "the sample", True)
    paddle.seed(0)
    network = ResNet((1, 1), BasicBlock, classes, widths=(4, 8), stem="cifar")
    lines = []
    evaluation, weights = final_test.test(
        network, best, parts, lines.append, "none", Precision(), None
    )
    return weights, [*lines, evaluation.sentence()]


def test_best_weights_that_cannot_be_read_are_told_of(sample, tmp_path):
    best = save_weights(
        ResNet((1, 1), BasicBlock, 10, widths=(4, 8), stem="cifar"), tmp_path / "best.safetensors"
    )
    weights, lines = told(sample, best)
    assert (weights, len(lines)) == ("best", 2)
    best.write_bytes(best.read_bytes()[:-8])
    weights, (warning, evaluating, _) = told(sample, best)
    assert weights == "last"
    assert warning.startswith(f"warning: '{best}' cannot be read: ")
    assert warning.endswith("The last weights are tested in place of the best.")
    assert "the last weights" in evaluating


@pytest.mark.parametrize("classes", [3, 5, 6])
def test_the_top_5_are_told_where_they_can_be_wrong(sample, classes):
    last = told(sample, classes=classes)[1][-1]
    assert last.startswith("accuracy ")
    assert ("top-5" in last) == (classes > 5)
