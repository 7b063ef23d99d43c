"""Small real things to train on: the sample's images and a network that learns in seconds."""

import numpy as np
import paddle
import pytest

from paddle_resnet.data import load_cifar10
from paddle_resnet.models import ResNet


@pytest.fixture(scope="session")
def sample():
    return load_cifar10("sample")


@pytest.fixture
def tiny():
    """A residual network of 5 convolutions, for 32-pixel images and 10 classes."""
    paddle.seed(0)
    from paddle_resnet.layers import BasicBlock

    return ResNet((1, 1), BasicBlock, 10, widths=(8, 16), stem="cifar")


@pytest.fixture
def batches(sample):
    """Unequal batches, so that a mean over batches differs from one over samples."""
    images = (sample.train_images[:50] / 255).astype(np.float32)
    labels = sample.train_labels[:50]
    return [(images[:32], labels[:32]), (images[32:48], labels[32:48]), (images[48:], labels[48:])]


def pytest_terminal_summary(terminalreporter):
    """Say how many conformance cases each class passes, where they were run."""
    passed = {}
    for kind in ("passed", "xfailed", "failed", "xpassed"):
        for report in terminalreporter.stats.get(kind, []):
            if "conformance" in getattr(report, "keywords", {}):
                name = "paddle.Model" if "paddle.Model" in report.nodeid else "ImageClassifier"
                cases, right = passed.get(name, (0, 0))
                passed[name] = cases + 1, right + (kind == "passed")
    for name, (cases, right) in sorted(passed.items()):
        terminalreporter.write_line(f"conformance: {name} passes {right} of {cases} cases")
