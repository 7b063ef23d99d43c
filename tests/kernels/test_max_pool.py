"""Max-pooling by the operator picks what Paddle picks, forward and backward."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import ConvBNLayer, kernels
from paddle_resnet.kernels.max_pool import max_pool
from paddle_resnet.layers.pooling import GlobalMaxPool, MaxPool2D

POOLINGS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 2, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 5, "stride": 3, "padding": 2},
    {"kernel_size": 2, "stride": 3},
]
SHAPES = [(2, 32, 8, 8), (3, 19, 9, 7), (1, 5, 5, 11)]


def run(mode, layer, x, weights):
    x = paddle.to_tensor(x, stop_gradient=False)
    with kernels.use(mode):
        y = layer(x)
        (y * paddle.to_tensor(weights)).sum().backward()
    return y.numpy(), x.grad.numpy()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("arguments", POOLINGS, ids=str)
def test_values_and_gradients_are_paddles(arguments, shape):
    rng = np.random.default_rng(0)
    # Quarters: many windows hold their largest value more than once.
    x = (rng.integers(-8, 8, shape) / 4).astype("float32")
    layer = MaxPool2D(**arguments)
    weights = rng.standard_normal(layer(paddle.to_tensor(x)).shape).astype("float32")
    ours, plain = run("require", layer, x, weights), run("off", layer, x, weights)
    np.testing.assert_array_equal(ours[0], plain[0])
    np.testing.assert_allclose(ours[1], plain[1], rtol=1e-6, atol=1e-6)


def test_nan_and_infinity_as_in_paddle():
    x = np.random.default_rng(0).standard_normal([1, 16, 6, 6]).astype("float32")
    x[0, :, 0, 0], x[0, :, 1, 3], x[0, 3, 5, 5] = np.nan, np.nan, np.inf
    layer, weights = MaxPool2D(2), np.ones([1, 16, 3, 3], "float32")
    np.testing.assert_array_equal(
        run("require", layer, x, weights)[0], run("off", layer, x, weights)[0]
    )


def test_one_tensor_pooled_and_learned_from_again_and_again():
    x = paddle.randn([1, 16, 8, 8])
    x.stop_gradient = False
    with kernels.use("require"):
        for turn in (1, 2, 3):
            MaxPool2D(2)(x).sum().backward()
            assert float(x.grad.sum()) == 16 * 16 * turn


def test_nhwc():
    x = np.random.default_rng(0).standard_normal([2, 8, 9, 16]).astype("float32")
    layer = MaxPool2D(3, 2, 1, data_format="NHWC")
    weights = np.ones([2, 4, 5, 16], "float32")
    for ours, plain in zip(run("require", layer, x, weights), run("off", layer, x, weights)):
        np.testing.assert_allclose(ours, plain, rtol=1e-6)


def test_between_units_nothing_is_laid_anew():
    with kernels.use("require"):
        pooled = MaxPool2D(2)(ConvBNLayer(3, 16, 3)(paddle.randn([2, 3, 8, 8])))
    # What lies in memory channels last is contiguous seen as NHWC.
    assert pooled.transpose([0, 2, 3, 1]).is_contiguous()


@pytest.mark.parametrize(
    ("arguments", "dtype"),
    [
        ({"kernel_size": 2}, "float64"),
        ({"kernel_size": (2, 3)}, "float32"),
        ({"kernel_size": 2, "padding": "SAME"}, "float32"),
        ({"kernel_size": 2, "return_mask": True}, "float32"),
        ({"kernel_size": 16}, "float32"),
    ],
    ids=str,
)
def test_what_it_does_not_know_is_left_to_paddle(arguments, dtype):
    layer, x = MaxPool2D(**arguments), paddle.randn([1, 4, 16, 18]).astype(dtype)
    with kernels.use("require"):
        assert max_pool(layer, x, layer._reference) is None
        ours = layer(x)
    plain = nn.MaxPool2D(**arguments)(x)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (ours, plain))):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_windows_larger_than_the_image_are_left_to_paddle():
    layer = MaxPool2D(5)
    with kernels.use("require"):
        assert max_pool(layer, paddle.randn([1, 4, 3, 3]), layer._reference) is None


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("sides", [(4, 4), (4, 5), (16, 16)])
def test_global_pooling(sides, data_format):
    shape = [2, 3, *sides] if data_format == "NCHW" else [2, *sides, 3]
    different = np.random.default_rng(0).permutation(np.prod(shape)).astype("float32")
    x = paddle.to_tensor(different.reshape(shape), stop_gradient=False)
    axes = (2, 3) if data_format == "NCHW" else (1, 2)
    largest = x.numpy().max(axes, keepdims=True)
    for mode in ("require", "off"):
        x.clear_gradient()
        with kernels.use(mode):
            pooled = GlobalMaxPool(data_format)(x)
            pooled.sum().backward()
        np.testing.assert_array_equal(pooled.numpy(), largest)
        np.testing.assert_array_equal(x.grad.numpy(), x.numpy() == largest)
