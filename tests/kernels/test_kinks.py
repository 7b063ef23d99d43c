"""The remedies of tests/kinks.py: rounding at a kink does not count, one wrong element does."""

import numpy as np
import paddle
import pytest
from kinks import MARGIN, clear_seed, decided, margins, pooling_margin, seen
from paddle.nn import functional as F
from test_conv_bn_act import (
    assert_close,
    gradients,
    inputs,
    inputs_with_clear_winners,
    make,
    output_gradient,
    pre_activation,
    run,
)

from paddle_resnet.layers import activation_functions

UNIT = (3, 1, 1, 1, None)


def relu_with(monkeypatch, passes):
    """Let plain Paddle's ReLU pass the gradients where ``passes(x)`` is 1."""

    def relu(x):
        return (x * passes(x)).detach() + (x - x.detach()) * passes(x)

    monkeypatch.setitem(activation_functions.ACTIVATIONS, "relu", relu)


def plain_gradients(unit, x, gradient):
    return run("off", unit, x, gradient=gradient)


def test_a_mask_that_rounds_otherwise_is_no_difference(monkeypatch):
    # Of 176,400 outputs of each channel some are within the margin, and would all be seen.
    unit, shape = make(UNIT, (1, 3, 4), "relu"), (1, 3, 4, 420, 420)
    x, _ = inputs(unit, shape, False)
    z = pre_activation(unit, x)
    rounding = 0.9 * MARGIN * float(np.abs(z).max())
    assert (np.abs(z) < rounding).any()
    found, blind = [], []
    for offset in (rounding, -rounding):
        relu_with(monkeypatch, lambda x, offset=offset: (x > offset).astype(x.dtype))
        found.append(plain_gradients(unit, x, output_gradient(unit, x)))
        everywhere = np.random.default_rng(3).standard_normal(z.shape, dtype="float32")
        blind.append(plain_gradients(unit, x, everywhere))
    for results in (found, blind):  # y itself jumps with this ReLU, a rounding's worth
        for each in results:
            del each["y"]
    assert_close(*found)
    with pytest.raises(AssertionError, match="x: "):
        assert_close(*blind)


@pytest.mark.parametrize("kind", ["passed", "stopped"])
def test_one_wrong_element_of_a_mask_is_caught(monkeypatch, kind):
    # Planted at one of 705,600 places, of those that the loss sees.
    unit, shape = make(UNIT, (1, 3, 4), "relu"), (1, 3, 4, 420, 420)
    x, _ = inputs(unit, shape, False)
    z, gradient = pre_activation(unit, x), output_gradient(unit, x)
    candidates = np.argwhere((z < 0 if kind == "passed" else z > 0) & (np.abs(gradient) > 0.5))
    place = tuple(candidates[len(candidates) // 3])
    plain = plain_gradients(unit, x, gradient)

    def wrong(x):
        passes = (x > 0).astype(x.dtype).numpy()
        passes[place] = 1 - passes[place]
        return paddle.to_tensor(passes)

    relu_with(monkeypatch, wrong)
    planted = plain_gradients(unit, x, gradient)
    del planted["y"], plain["y"]
    with pytest.raises(AssertionError, match="x: "):
        assert_close(planted, plain)


@pytest.mark.parametrize("mode", ["off", "require"])
def test_one_wrong_pixel_of_large_maps_is_caught(mode):
    # The operator's own gradients, of an output's gradient that is wrong at one of 5.6 million.
    unit = make(UNIT, (1, 32, 32), "relu")
    x, _ = inputs(unit, (1, 32, 32, 420, 420), False)
    gradient = output_gradient(unit, x)
    plain = run("off", unit, x, gradient=gradient)
    z = pre_activation(unit, x)
    place = tuple(np.argwhere(z[0, 17] > 0.5)[12345])
    gradient[(0, 17, *place)] += 0.1
    with pytest.raises(AssertionError, match="x: "):
        assert_close(run(mode, unit, x, gradient=gradient), plain)


def test_one_wrong_winner_of_max_pooling_is_caught(monkeypatch):
    shape = (8, 32, 48, 16, 16)
    unit = make(UNIT, shape, "relu", max_pool=True)
    x, _ = inputs_with_clear_winners(unit, shape, False)
    right = run("require", unit, x)
    max_pool2d = F.max_pool2d

    def wrong(z, *args, **options):
        # In one of 24,576 windows the gradient goes to the pixel beside the winner.
        shift = np.zeros(z.shape, "float32")
        row, column = divmod(int(z[3, 7, 4:6, 8:10].argmax()), 2)
        shift[3, 7, 4 + row, 8 + column], shift[3, 7, 4 + row, 9 - column] = -1, 1
        y = max_pool2d(z, *args, **options)
        moved = (paddle.to_tensor(shift) * z).sum([2, 3], keepdim=True)
        at = np.zeros(y.shape, "float32")
        at[3, 7, 2, 4] = 1
        return y + paddle.to_tensor(at) * (moved - moved.detach())

    monkeypatch.setattr(F, "max_pool2d", wrong)
    planted = run("off", unit, x)
    monkeypatch.undo()
    assert_close(right, run("off", unit, x), 3e-5)
    with pytest.raises(AssertionError, match="x: "):
        assert_close(right, planted, 3e-5)


@pytest.mark.parametrize("stage", ["layer1", "layer3"])
def test_one_wrong_element_inside_a_network_is_caught(stage):
    def plant(layer, given, output):
        output.register_hook(wrong)

    def wrong(gradient):
        places = np.abs(gradient.numpy()).ravel().argsort()
        factor = np.ones(gradient.shape, "float32")
        factor.flat[places[places.size * 3 // 4]] = 1.5  # of no outstanding size
        return gradient * paddle.to_tensor(factor)

    right, _ = gradients("off")
    planted, _ = gradients("off", prepare=lambda net: hook(net, stage, plant))
    with pytest.raises(AssertionError, match=r"\d"):
        assert_close(planted, right, 1e-3)


def hook(net, stage, function):
    getattr(net, stage).register_forward_post_hook(function)


def test_the_margin_of_a_seed_is_that_of_all_its_kinks():
    def layers(seed):
        x = paddle.to_tensor([[[[1.0, 0.5 * seed], [-1.0, -2.0]]]])
        return F.max_pool2d(F.relu(x - 0.25 * seed), 2)

    with margins() as found:
        layers(0)
    assert found == [0.0, 1.0]
    with margins() as found:
        layers(2)
    np.testing.assert_allclose(found, [0.5 / 2.5, 0.0], rtol=1e-6)
    assert clear_seed(layers, margin=0.09, seeds=4) == 1
    with pytest.raises(AssertionError, match="a smaller case"):
        clear_seed(layers, margin=0.9, seeds=4)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("size", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 3, 0)])
def test_the_margin_of_pooling_is_found_window_by_window(size, stride, padding, layout):
    x = np.random.default_rng(0).standard_normal([2, 3, 7, 8]).astype("float32")
    step, closest = stride or size, np.inf
    for row in range(-padding, 7 + padding - size + 1, step):
        for column in range(-padding, 8 + padding - size + 1, step):
            rows, columns = (slice(max(n, 0), n + size) for n in (row, column))
            values = np.sort(x[:, :, rows, columns].reshape(6, -1), 1)
            closest = min(closest, (values[:, -1] - values[:, -2]).min())
    given = x if layout == "NCHW" else x.transpose(0, 2, 3, 1)
    found = pooling_margin(given, size, stride, padding, layout)
    assert found == pytest.approx(closest / np.abs(x).max())


def test_a_loss_that_sees_little_is_no_comparison():
    with pytest.raises(AssertionError, match="most outputs"):
        seen(np.array([0.0, 1.0], "float32"))
    assert seen(np.array([-1.0, 1.0], "float32")).tolist() == [1, 1]


def test_classes_are_compared_where_their_logits_differ():
    logits = np.float32([[3, 1, 2], [2, 2, 1], [1, 1, 3], [0, 4, 4.00001]])
    assert decided(logits).tolist() == [True, False, True, False]
    assert decided(logits, k=2).tolist() == [True, True, False, True]
