"""The unit of computation: what it computes, what it is called in files, what it refuses."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet import ConvBNLayer, kernels
from paddle_resnet.errors import ModelError


def separate(unit, x, residual=None):
    """Compute the unit with Paddle's functions, one at a time."""
    conv, bn = unit.conv, unit.bn
    y = F.conv2d(
        x, conv.weight, conv.bias, conv._stride, conv._padding, conv._dilation, conv._groups
    )
    y = F.batch_norm(y, bn._mean, bn._variance, bn.weight, bn.bias, unit.training, bn._momentum)
    y = y if residual is None else y + residual
    return F.relu(y) if unit.act == "relu" else y


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("with_residual", [False, True])
def test_computes_conv_then_bn_then_sum_then_activation(size, stride, act, with_residual):
    unit = ConvBNLayer(4, 6, size, stride=stride, act=act)
    unit.bn._mean.set_value(np.linspace(-1, 1, 6, dtype="float32"))
    unit.eval()
    x = paddle.randn([2, 4, 9, 10])
    shape = [2, 6, -(-9 // stride), -(-10 // stride)]
    residual = paddle.randn(shape) if with_residual else None
    y = unit(x, residual)
    assert y.shape == shape
    np.testing.assert_array_equal(y.numpy(), separate(unit, x, residual).numpy())


def test_positional_arguments_are_those_of_the_lesson():
    unit = ConvBNLayer(8, 16, 3, 2, 4, "relu")
    assert unit.conv.weight.shape == [16, 2, 3, 3]
    assert unit.conv.bias is None
    assert unit(paddle.randn([1, 8, 7, 7])).shape == [1, 16, 4, 4]


def test_running_statistics_move_with_paddles_momentum():
    unit = ConvBNLayer(3, 4, 1)
    x = paddle.randn([8, 3, 5, 5])
    mean = unit.conv(x).mean([0, 2, 3]).numpy()
    unit(x)
    np.testing.assert_allclose(unit.bn._mean.numpy(), 0.1 * mean, rtol=1e-5, atol=1e-7)
    before = unit.bn._mean.numpy()
    unit.eval()
    unit(x)
    np.testing.assert_array_equal(unit.bn._mean.numpy(), before)


def test_weights_start_kaiming_normal_over_fan_out():
    paddle.seed(0)
    weight = ConvBNLayer(64, 128, 3).conv.weight.numpy()
    assert weight.std() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_public_names():
    class Block(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv1 = ConvBNLayer(3, 4, 1)
            self.reduce = ConvBNLayer(4, 4, 1)

    norm = ("weight", "bias", "_mean", "_variance")
    expected = ["conv1.weight", *(f"bn1.{n}" for n in norm)]
    expected += ["reduce.conv.weight", *(f"reduce.bn.{n}" for n in norm)]
    block = Block()
    assert list(block.state_dict()) == expected
    assert [name for name, _ in block.named_parameters()] == expected
    missing, unexpected = block.set_state_dict(Block().state_dict())
    assert (missing, unexpected) == ([], [])
    assert set(nn.Sequential(block).state_dict()) == {f"0.{name}" for name in expected}


@pytest.mark.parametrize("act", ["relu", "gelu", "silu", "leaky_relu"])
def test_activations(act):
    unit = ConvBNLayer(3, 4, 1, act=act)
    plain = ConvBNLayer(3, 4, 1)
    plain.set_state_dict(unit.state_dict())
    x = paddle.randn([2, 3, 4, 4])
    for mode in ("off", "auto"):
        with kernels.use(mode):
            ours, expected = unit(x).numpy(), getattr(F, act)(plain(x)).numpy()
        if mode == "off":
            np.testing.assert_array_equal(ours, expected)
        else:  # the operator computes one of them, or parts of both
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_unknown_activation_names_the_nearest():
    with pytest.raises(ModelError, match=r"'rellu'.*Did you mean 'relu'"):
        ConvBNLayer(3, 4, 1, act="rellu")
