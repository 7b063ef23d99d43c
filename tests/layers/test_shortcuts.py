"""What each shortcut computes, and where it is the identity."""

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from paddle_resnet.errors import ModelError
from paddle_resnet.layers import SHORTCUTS, BasicBlock, Style
from paddle_resnet.layers.shortcuts import ZeroPad, resolve_shortcut


def make(name, ins, outs, stride, **style):
    layer = SHORTCUTS[name](ins, outs, stride, Style(**style))
    if layer is not None:
        layer.eval()
    return layer


@pytest.mark.parametrize("name", ["A", "B", "D", "biased", "keras"])
def test_the_identity_where_the_shape_stays(name):
    assert make(name, 8, 8, 1) is None


def test_c_projects_everywhere():
    assert make("C", 8, 8, 1).conv.weight.shape == [8, 8, 1, 1]


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
@pytest.mark.parametrize("name", list(SHORTCUTS))
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_shapes_fit_the_main_path(name, size, layout):
    block = BasicBlock(4, 8, 2, name, style=Style(data_format=layout))
    block.eval()
    shape = [2, 4, *size] if layout == "NCHW" else [2, *size, 4]
    half = [-(-n // 2) for n in size]
    y = block(paddle.randn(shape))
    assert y.shape == ([2, 8, *half] if layout == "NCHW" else [2, *half, 8])


def test_a_subsamples_and_pads_with_zeros_on_both_sides():
    x = paddle.randn([2, 4, 5, 6])
    y = make("A", 4, 8, 2)(x).numpy()
    np.testing.assert_array_equal(y[:, 2:6], x.numpy()[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()
    assert make("A", 4, 8, 2).parameters() == []
    last = ZeroPad(3, 2, "NHWC")(paddle.transpose(x, [0, 2, 3, 1])).numpy()
    np.testing.assert_array_equal(last[..., 1:5], x.numpy()[:, :, ::2, ::2].transpose(0, 2, 3, 1))


def test_d_averages_before_it_projects():
    layer = make("D", 4, 8, 2)
    x = paddle.randn([2, 4, 6, 8])
    expected = F.conv2d(F.avg_pool2d(x, 2), layer[1].conv.weight)
    np.testing.assert_allclose(layer[1].conv(layer[0](x)).numpy(), expected.numpy(), atol=1e-6)
    # An odd border is averaged over the pixels that exist.
    np.testing.assert_allclose(layer[0](paddle.ones([1, 4, 5, 5])).numpy(), 1)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("B", ["0.weight", "1.weight", "1.bias", "1._mean", "1._variance"]),
        ("D", ["1.weight", "2.weight", "2.bias", "2._mean", "2._variance"]),
        ("biased", ["0.weight", "0.bias"]),
        ("keras", ["0.weight", "0.bias"]),
    ],
)
def test_names_in_files(name, keys):
    names = [n for n in BasicBlock(4, 8, 2, name).state_dict() if n.startswith("downsample")]
    assert names == [f"downsample.{key}" for key in keys]


def test_a_biased_projection_has_a_bias_and_no_bn():
    layer = make("biased", 4, 8, 2)
    x = paddle.randn([2, 4, 6, 6])
    layer.conv.bias.set_value(np.arange(8, dtype="float32"))
    expected = F.conv2d(x, layer.conv.weight, layer.conv.bias, stride=2)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())
    assert make("biased", 4, 8, 1) is not None


def test_what_a_shortcut_cannot_do():
    with pytest.raises(ModelError, match="from 4 to 8 channels with stride 1"):
        make("keras", 4, 8, 1)
    with pytest.raises(ModelError, match="can only add channels, not go from 8 to 4"):
        make("A", 8, 4, 1)
    with pytest.raises(ModelError, match=r"unknown shortcut 'bias'.*Did you mean 'biased'"):
        resolve_shortcut("bias")


def test_true_and_false_have_the_meaning_of_the_lessons():
    assert resolve_shortcut(True) is SHORTCUTS["B"]
    assert resolve_shortcut(False) is SHORTCUTS["C"]
    assert resolve_shortcut(make) is make
