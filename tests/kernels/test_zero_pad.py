"""Shortcut A by the operator: the same numbers in the same places, forward and backward."""

import numpy as np
import paddle
import pytest
from kinks import clear_seed

from paddle_resnet import ConvBNLayer, kernels
from paddle_resnet.kernels.activations import cast
from paddle_resnet.layers import BasicBlock
from paddle_resnet.layers.shortcuts import ZeroPad


def run(mode, layer, x, weights, dtype="float32"):
    x = paddle.to_tensor(x, stop_gradient=False)
    with kernels.use(mode):
        y = layer(cast(x, dtype))
        assert y.dtype == getattr(paddle, dtype)
        y = cast(y, "float32")
        (y * paddle.to_tensor(weights)).sum().backward()
    return y.numpy(), x.grad.numpy()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("extra", [0, 1, 16])
@pytest.mark.parametrize("shape", [(2, 16, 8, 8), (3, 5, 7, 6), (1, 1, 1, 2)])
def test_values_and_gradients_are_paddles(shape, extra, stride, layout, dtype):
    layer, rng = ZeroPad(extra, stride, layout), np.random.default_rng(0)
    x = rng.integers(-100, 100, shape).astype("float32")  # numbers that bfloat16 has
    if layout == "NHWC":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    weights = rng.integers(-100, 100, layer(paddle.to_tensor(x)).shape).astype("float32")
    ours = run("require", layer, x, weights, dtype)
    for found, expected in zip(ours, run("off", layer, x, weights, dtype)):
        np.testing.assert_array_equal(found, expected)


def test_between_units_no_map_is_laid_anew():
    layer = ZeroPad(16, 2, "NCHW")
    with kernels.use("require"), paddle.no_grad():
        y = layer(ConvBNLayer(3, 16, 3)(paddle.randn([2, 3, 8, 8])))
    assert y.shape == [2, 32, 4, 4]
    assert not y.is_contiguous()  # NCHW only to look at
    assert y.transpose([0, 2, 3, 1]).is_contiguous()


def test_nan_and_infinity_stay_where_they_are():
    x = np.zeros([1, 2, 4, 4], "float32")
    x[0, 0, 2, 2], x[0, 1, 0, 0], x[0, 1, 1, 1] = np.nan, -np.inf, np.nan
    weights = np.ones([1, 4, 2, 2], "float32")
    layer = ZeroPad(2, 2, "NCHW")
    np.testing.assert_array_equal(
        run("require", layer, x, weights)[0], run("off", layer, x, weights)[0]
    )


def test_a_block_learns_what_it_learns_in_paddle():
    def draw(seed):
        paddle.seed(seed)
        block, x = BasicBlock(16, 32, 2, "A"), paddle.randn([4, 16, 9, 8])
        with paddle.no_grad(), kernels.use("off"):
            block(x)
        return block, x

    block, x = draw(clear_seed(draw))
    found = []
    for mode in ("require", "off"):
        block.clear_gradients()
        given = paddle.to_tensor(x.numpy(), stop_gradient=False)
        with kernels.use(mode):
            (block(given) ** 2).sum().backward()
        trained = [p.grad.numpy() for p in block.parameters() if not p.stop_gradient]
        assert len(trained) == 6
        found.append([given.grad.numpy(), *trained])
    for ours, plain in zip(*found):
        assert np.abs(ours - plain).max() <= 1e-4 * np.abs(plain).max()
