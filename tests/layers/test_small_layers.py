"""Injected activations and norms, stochastic depth, recompute, the Inception module."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet import ConvBNLayer, StochasticDepth
from paddle_resnet.errors import ModelError
from paddle_resnet.layers import BasicBlock, Inception, Style
from paddle_resnet.layers.recompute import run


def test_an_activation_may_be_a_function_or_a_layer_of_its_own():
    x = paddle.randn([2, 3, 5, 5])
    plain = ConvBNLayer(3, 4, 1)
    for act in (F.hardswish, nn.Hardswish):
        unit = ConvBNLayer(3, 4, 1, act=act)
        unit.set_state_dict(plain.state_dict())
        np.testing.assert_allclose(unit(x).numpy(), F.hardswish(plain(x)).numpy(), atol=1e-6)
    block = BasicBlock(3, 3, style=Style(act=nn.PReLU))
    assert block.conv1.act is not block.conv2.act
    assert {"conv1.act._weight", "conv2.act._weight"} <= set(block.state_dict())
    with pytest.raises(ModelError, match="unknown activation 5"):
        ConvBNLayer(3, 4, 1, act=5)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_norm_may_be_injected(layout):
    def norm(channels, **options):
        return nn.GroupNorm(2, channels, **options)

    block = BasicBlock(4, 4, style=Style(norm_layer=norm, data_format=layout))
    assert isinstance(block.conv1.bn, nn.GroupNorm)
    assert block(paddle.randn([2, 4, 4, 4])).shape == [2, 4, 4, 4]
    block.zero_init()
    assert not block.conv2.bn.weight.numpy().any()


def test_a_unit_without_norm_is_a_convolution_with_bias():
    unit = ConvBNLayer(3, 4, 3, bias=True, norm_layer=None)
    assert [tuple(v.shape) for v in unit.state_dict().values()] == [(4, 3, 3, 3), (4,)]
    x = paddle.randn([2, 3, 5, 5])
    expected = F.conv2d(x, unit.conv.weight, unit.conv.bias, padding=1)
    np.testing.assert_array_equal(unit(x).numpy(), expected.numpy())


def test_same_padding_puts_the_odd_zero_at_the_bottom_right():
    unit = ConvBNLayer(1, 1, 3, stride=2, padding="same", norm_layer=None)
    unit.conv.weight.set_value(paddle.ones([1, 1, 3, 3]))
    y = unit(paddle.ones([1, 1, 4, 4]))[0, 0]
    np.testing.assert_array_equal(y.numpy(), [[9, 6], [6, 4]])


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    paddle.seed(0)
    layer = StochasticDepth(0.25)
    y = layer(paddle.ones([4000, 2, 3, 3]))
    np.testing.assert_allclose(np.unique(y.numpy()), [0, 1 / 0.75], rtol=1e-6)
    assert (y.numpy() == y.numpy()[:, :1, :1, :1]).all()
    assert float(y.mean()) == pytest.approx(1, abs=0.03)
    layer.eval()
    x = paddle.randn([2, 2, 3, 3])
    assert layer(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_stochastic_depth_rates(rate):
    with pytest.raises(ModelError, match=f"less than 1, got {rate}"):
        StochasticDepth(rate)


def test_dropped_blocks_are_their_shortcut():
    block = BasicBlock(4, 4, drop_rate=0.999)
    x = paddle.rand([2, 4, 5, 5])
    paddle.seed(1)
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


def test_recompute_draws_the_same_random_numbers_and_counts_statistics_once():
    def one(checkpoint):
        block = BasicBlock(4, 4, drop_rate=0.5)
        for p in block.parameters():
            if not p.stop_gradient:
                p.set_value(paddle.full_like(p, 0.05))
        paddle.seed(7)
        x = paddle.linspace(-1, 1, 8 * 4 * 9).reshape([8, 4, 3, 3])
        x.stop_gradient = False
        y = run([block], x, checkpoint)
        drawn = paddle.rand([3])
        (y * y).sum().backward()
        gradients = [x.grad, *(p.grad for p in block.parameters() if not p.stop_gradient)]
        statistics = [p for p in block.parameters() if p.stop_gradient]
        assert block.conv1.bn._momentum == 0.9
        return [t.numpy() for t in (y, drawn, *gradients, *statistics)]

    for plain, again in zip(one(False), one(True)):
        np.testing.assert_allclose(again, plain, atol=1e-6)


def test_nothing_is_recomputed_where_no_gradient_comes_through_the_input():
    block = BasicBlock(4, 4)
    run([block], paddle.randn([2, 4, 3, 3]), True).sum().backward()
    assert block.conv1.conv.weight.grad is not None


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_inception_module_of_the_lesson(layout):
    module = Inception(192, 64, 96, 128, 16, 32, 32, style=Style(data_format=layout))
    module.eval()
    shape = [1, 192, 28, 28] if layout == "NCHW" else [1, 28, 28, 192]
    y = module(paddle.randn(shape))
    assert y.shape == ([1, 256, 28, 28] if layout == "NCHW" else [1, 28, 28, 256])
    assert module.out_channels == 256
    assert module.branch3[1].conv.weight.shape == [32, 16, 5, 5]
    assert "branch3.1.conv.weight" in module.state_dict()
    assert "branch1.bn._mean" in module.state_dict()


def test_1x1_convolution_is_one_linear_layer_at_each_position():
    unit = ConvBNLayer(32, 10, 1, norm_layer=None)
    x = paddle.randn([1, 32, 6, 6])
    weight = unit.conv.weight.reshape([10, 32])
    everywhere = paddle.matmul(weight, x.reshape([32, 36])).reshape([1, 10, 6, 6])
    np.testing.assert_allclose(unit(x).numpy(), everywhere.numpy(), atol=1e-5)
