"""The options of the blocks, each against the same computation written out."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet.errors import ModelError
from paddle_resnet.layers import (
    BasicBlock,
    BottleneckBlock,
    ConvBNLayer,
    PreActBasicBlock,
    PreActBottleneckBlock,
    Style,
)

BLOCKS = (BasicBlock, BottleneckBlock, PreActBasicBlock, PreActBottleneckBlock)


def stirred(block):
    """Give the BN layers statistics and weights that are not 0 and 1, and return eval mode."""
    paddle.seed(5)
    for layer in block.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer._mean.set_value(paddle.randn(layer._mean.shape) * 0.3)
            layer._variance.set_value(paddle.rand(layer._variance.shape) + 0.5)
            layer.bias.set_value(paddle.randn(layer.bias.shape) * 0.3)
    block.eval()
    return block


def equal(a, b):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-5 * float(b.abs().max()))


def test_basic_block_is_relu_of_f_plus_x():
    block = stirred(BasicBlock(8, 8))
    x = paddle.randn([2, 8, 7, 9])
    c1, c2 = block.conv1, block.conv2
    f = c2.bn(c2.conv(F.relu(c1.bn(c1.conv(x)))))
    equal(block(x), F.relu(f + x))


def test_bottleneck_block_with_projection():
    block = stirred(BottleneckBlock(8, 4, 2))
    x = paddle.randn([2, 8, 7, 9])
    y = x
    for unit in (block.conv1, block.conv2):
        y = F.relu(unit.bn(unit.conv(y)))
    projected = block.downsample.bn(block.downsample.conv(x))
    y = F.relu(block.conv3.bn(block.conv3.conv(y)) + projected)
    equal(block(x), y)
    assert y.shape == [2, 16, 4, 5]


@pytest.mark.parametrize("stride", [1, 2])
def test_pre_activation_block(stride):
    block = stirred(PreActBasicBlock(8, 8, stride))
    x = paddle.randn([2, 8, 7, 9])
    a = F.relu(block.bn1(x))
    shortcut = x if stride == 1 else block.downsample.conv(a)
    y = block.conv1.conv(a)
    y = block.conv2.conv(F.relu(block.conv1.bn(y)))
    equal(block(x), y + shortcut)
    names = {name.rpartition(".")[0] for name in block.state_dict()}
    projection = {"downsample.0"} if stride == 2 else set()
    assert names == {"bn1", "conv1", "bn2", "conv2"} | projection


def test_pre_activation_bottleneck_has_three_of_each():
    names = {n.rpartition(".")[0] for n in PreActBottleneckBlock(16, 4).state_dict()}
    assert names == {"bn1", "conv1", "bn2", "conv2", "bn3", "conv3"}


@pytest.mark.parametrize("cls", BLOCKS)
def test_plain_block_has_no_shortcut(cls):
    block = stirred(cls(8, 8, 2, residual=False))
    assert block.downsample is None
    x = paddle.randn([2, 8, 8, 8])
    y = F.relu(block.bn1(x)) if cls.pre_activation else x
    for name in block._units:
        y = getattr(block, name)(y)
    equal(block(x), y)


def test_a_block_with_zero_weights_is_the_identity_on_what_relu_gives():
    block = BasicBlock(8, 8)
    for unit in (block.conv1, block.conv2):
        unit.conv.weight.set_value(paddle.zeros_like(unit.conv.weight))
    x = paddle.rand([2, 8, 5, 5])
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


@pytest.mark.parametrize("cls", BLOCKS)
def test_zero_init_makes_the_block_its_shortcut(cls):
    block = cls(8 * cls.expansion, 8)
    block.zero_init()
    x = paddle.rand([2, 8 * cls.expansion, 5, 5])
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


def test_zero_init_needs_something_to_set_to_zero():
    norm = lambda channels: nn.BatchNorm2D(channels, weight_attr=False)  # noqa: E731
    with pytest.raises(ModelError, match="needs a normalisation with a weight"):
        BasicBlock(8, 8, style=Style(norm_layer=norm)).zero_init()


def test_early_relu_only_adds():
    block = stirred(BasicBlock(8, 8, early_relu=True))
    x = paddle.randn([2, 8, 7, 9])
    c1, c2 = block.conv1, block.conv2
    f = F.relu(c2.bn(c2.conv(F.relu(c1.bn(c1.conv(x))))))
    equal(block(x), f + x)
    assert float((block(x) - x).min()) >= 0


@pytest.mark.parametrize("cls", BLOCKS)
def test_squeeze_and_excitation_scales_f(cls):
    block = stirred(cls(8 * cls.expansion, 8, se_reduction=4))
    x = paddle.randn([2, 8 * cls.expansion, 5, 6])
    y = F.relu(block.bn1(x)) if cls.pre_activation else x
    for name in block._units:
        y = getattr(block, name)(y)
    gate = block.se.fc2(F.relu(block.se.fc1(y.mean([2, 3], keepdim=True))))
    y = x + y * F.sigmoid(gate)
    equal(block(x), y if cls.pre_activation else F.relu(y))
    assert block.se.fc1.weight.shape[0] == 2 * cls.expansion


def test_stride_place_v1_is_the_first_convolution():
    strides = lambda b: [getattr(b, name).conv._stride[0] for name in b._units]  # noqa: E731
    assert strides(BottleneckBlock(8, 4, 2)) == [1, 2, 1]
    assert strides(BottleneckBlock(8, 4, 2, stride_place="v1")) == [2, 1, 1]
    assert strides(BasicBlock(8, 4, 2)) == strides(BasicBlock(8, 4, 2, stride_place="v1")) == [2, 1]


def test_groups_and_width_are_honoured_in_both_kinds_of_block():
    block = BottleneckBlock(64, 64, groups=32, width_per_group=4)
    assert [getattr(block, n).conv.weight.shape for n in block._units] == [
        [128, 64, 1, 1],
        [128, 4, 3, 3],
        [256, 128, 1, 1],
    ]
    basic = BasicBlock(64, 64, groups=2, width_per_group=96)
    assert basic.conv1.conv.weight.shape == [192, 32, 3, 3]
    assert basic.conv2.conv.weight.shape == [64, 96, 3, 3]
    assert basic(paddle.randn([1, 64, 5, 5])).shape == [1, 64, 5, 5]


def test_dilation_starts_behind_the_convolution_that_had_the_stride():
    dilations = lambda b: [getattr(b, n).conv._dilation[0] for n in b._units]  # noqa: E731
    assert dilations(BottleneckBlock(8, 2, dilation=4)) == [1, 4, 1]
    assert dilations(BottleneckBlock(8, 2, dilation=4, first_dilation=2)) == [1, 2, 1]
    assert dilations(BasicBlock(8, 8, dilation=2, first_dilation=1)) == [1, 2]
    v1 = BottleneckBlock(8, 2, dilation=4, first_dilation=2, stride_place="v1")
    assert dilations(v1) == [1, 4, 1]


@pytest.mark.parametrize("cls", BLOCKS)
@pytest.mark.parametrize("extra", [{}, {"se_reduction": 2}, {"drop_rate": 0.3}])
def test_every_convolution_of_the_main_path_is_a_unit(cls, extra):
    block = cls(8, 8, 2, **extra)
    units = [layer for layer in block.sublayers() if isinstance(layer, ConvBNLayer)]
    assert len(units) == len(cls.kernels) + 1
    free = [n for n, s in block.named_sublayers() if isinstance(s, nn.Conv2D) and "se" not in n]
    assert len(free) == len(units)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: BasicBlock(8, 8, stride_place="v2"), "stride_place must be v1 or v1.5, got 'v2'"),
        (lambda: PreActBasicBlock(8, 8, early_relu=True), "early_relu is about the sum"),
        (lambda: BasicBlock(8, 8, early_relu=True, residual=False), "early_relu is about the sum"),
        (lambda: BasicBlock(8, 8, groups=3), "from 8 to 24 channels cannot have 3 groups"),
        (lambda: BasicBlock(8, 8, groups=0), "groups must be at least 1, got 0"),
        (lambda: BasicBlock(8, 8, width_per_group=4), "width_per_group=4 leaves the block no"),
        (lambda: BasicBlock(8, 8, drop_rate=1.0), "at least 0 and less than 1, got 1.0"),
        (lambda: Style(data_format="NWHC"), "must be NCHW or NHWC, got 'NWHC'"),
        (lambda: Style(padding="valid"), "padding must be 'same' or None"),
        (lambda: ConvBNLayer(4, 4, 3, padding="same", dilation=2), "do not go together"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(build, words):
    with pytest.raises(ModelError, match=words):
        build()
