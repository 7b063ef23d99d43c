"""Comparisons of gradients that do not depend on how a kink is rounded.

The gradient of a ReLU jumps at 0, and that of max-pooling where two pixels of a window are equal.
Two correct ways of computing round differently. Where a pre-activation lies within rounding of 0,
one way may pass the gradient there and the other may not, and all that this gradient reaches
differs by far more than rounding. Which element it is depends on the CPU.

The remedies; none hides a wrong gradient elsewhere (tests/kernels/test_kinks.py plants some):

- :func:`seen`: the loss does not look at the outputs whose pre-activation is near 0. For the last
  ReLU of a layer, of any size.
- :func:`clear_seed`: inputs are drawn until no kink is within the margin. For max-pooling and for
  networks, up to some 50,000 activations.
- :func:`decided`: classes are compared where the largest logit is larger than the others.
"""

import contextlib

import numpy as np
from paddle.nn import functional as F

from paddle_resnet.layers import activation_functions

#: Distance from a kink that decides it, relative to the largest value of the tensor. Float32
#: outputs of one layer differ by 2e-6 of it at most, those of a small network by a few times that.
MARGIN = 1e-5


def seen(pre_activation, margin=MARGIN):
    """Return 1.0 where a pre-activation is farther than the margin from 0, else 0.0.

    Multiplied into the gradient of the output, it gives both ways of computing the same mask.

    Args:
        pre_activation: array, what the last ReLU is given.
    """
    size = np.abs(pre_activation)
    kept = (size > margin * size.max()).astype("float32")
    assert kept.mean() > 0.99, "most outputs are near the kink: the comparison shows nothing"
    return kept


def decided(logits, k=1, margin=MARGIN):
    """Return for which rows rounding cannot change what the ``k`` largest logits are.

    Args:
        logits: array ``[N, classes]``.
    """
    ordered = np.sort(logits, axis=1)[:, ::-1]
    return ordered[:, k - 1] - ordered[:, k] > margin * np.abs(logits).max()


def clear_seed(run, margin=MARGIN, seeds=200):
    """Return the first seed with which no ReLU and no max-pooling of ``run(seed)`` is near a kink.

    Args:
        run: called with 0, 1, ...; computes all that is compared, by plain Paddle.
        margin: see :data:`MARGIN`.
        seeds: how many are tried.
    """
    best = 0.0
    for seed in range(seeds):
        with margins() as found:
            run(seed)
        assert found, "no ReLU and no max-pooling ran"
        best = max(best, min(found))
        if min(found) > margin:
            return seed
    raise AssertionError(f"no seed keeps {margin} from a kink, the best {best:.1e}: a smaller case")


@contextlib.contextmanager
def margins():
    """Collect the distance from its kink of every ReLU and max-pooling of plain Paddle."""
    found = []
    relu, max_pool2d = F.relu, F.max_pool2d

    def watched_relu(x, *args, **options):
        size = np.abs(x.numpy())
        found.append(float(size.min() / size.max()))
        return relu(x, *args, **options)

    def watched_max_pool2d(x, kernel_size, stride=None, padding=0, *args, **options):
        layout = options.get("data_format", "NCHW")
        found.append(pooling_margin(x.numpy(), kernel_size, stride, padding, layout))
        return max_pool2d(x, kernel_size, stride, padding, *args, **options)

    try:
        F.relu, F.max_pool2d = watched_relu, watched_max_pool2d
        activation_functions.ACTIVATIONS["relu"] = watched_relu
        yield found
    finally:
        F.relu, F.max_pool2d = relu, max_pool2d
        activation_functions.ACTIVATIONS["relu"] = relu


def pooling_margin(x, size, stride, padding, layout="NCHW"):
    """Return by how much the largest pixel of a window exceeds the second, in its closest window.

    Windows of zeros alone do not count: a ReLU made them, and it passes no gradient on.
    """
    if layout == "NHWC":
        x = x.transpose(0, 3, 1, 2)
    stride = stride or size
    assert isinstance(padding, int), padding
    sides = [(0, 0), (0, 0), (padding, padding + size - 1), (padding, padding + size - 1)]
    wide = np.pad(x, sides, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (size, size), (2, 3))
    count = [(n + 2 * padding - size) // stride + 1 for n in x.shape[2:]]
    windows = windows[:, :, ::stride, ::stride][:, :, : count[0], : count[1]]
    second, first = np.moveaxis(np.partition(windows.reshape(-1, size * size), -2)[:, -2:], -1, 0)
    gap = np.where((first == 0) & (second == 0), np.inf, first - second)
    return float(gap.min() / np.abs(x).max())
