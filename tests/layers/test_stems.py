"""From pixels to the first stage: sizes, names, and weights for other numbers of channels."""

import numpy as np
import paddle
import pytest

from paddle_resnet import adapt_first_conv
from paddle_resnet.errors import ModelError
from paddle_resnet.layers import STEMS, Style
from paddle_resnet.layers.lookup import lookup

SIZES = {
    "imagenet": (64, 56, 56, 4),
    "deep": (64, 56, 56, 4),
    "cifar": (64, 224, 224, 1),
    "keras": (64, 222, 222, 1),
}


@pytest.mark.parametrize("name", STEMS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_sizes(name, layout):
    style = Style(data_format=layout)
    conv1, pool, stride = STEMS[name](3, 64, style)
    shape = [1, 3, 224, 224] if layout == "NCHW" else [1, 224, 224, 3]
    channels, height, width, expected = SIZES[name]
    out = [channels, height, width] if layout == "NCHW" else [height, width, channels]
    assert pool(conv1(paddle.randn(shape))).shape == [1, *out]
    assert stride == expected


def test_keras_pooling_keeps_the_size_and_looks_right_and_down():
    _, pool, _ = STEMS["keras"](3, 4, Style())
    x = paddle.arange(9, dtype="float32").reshape([1, 1, 3, 3])
    np.testing.assert_array_equal(pool(x)[0, 0].numpy(), [[4, 5, 5], [7, 8, 8], [7, 8, 8]])


def test_deep_stem_is_three_convolutions_of_half_half_and_full_width():
    conv1, _, _ = STEMS["deep"](3, 64, Style())
    state = conv1.state_dict()
    shapes = {key: value.shape for key, value in state.items() if len(value.shape) == 4}
    expected = {"0.weight": [32, 3, 3, 3], "3.weight": [32, 32, 3, 3], "6.weight": [64, 32, 3, 3]}
    assert shapes == expected
    assert {key.split(".")[0] for key in state} == {"0", "1", "3", "4", "6", "7"}


def test_unknown_stem():
    with pytest.raises(ModelError, match=r"unknown stem 'deeep'.*Did you mean 'deep'"):
        lookup("stem", "deeep", STEMS)
    with pytest.raises(ModelError, match="unknown stem None"):
        lookup("stem", None, STEMS)
    assert lookup("stem", STEMS["deep"], STEMS) is STEMS["deep"]


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 6])
def test_adapted_weights_keep_the_answer_to_equal_channels(channels):
    weight = np.random.default_rng(0).normal(size=(8, 3, 7, 7)).astype("float32")
    adapted = adapt_first_conv(weight, channels)
    assert adapted.shape == (8, channels, 7, 7)
    assert adapted.dtype == np.float32
    if channels in (1, 6):  # whole turns through the colours keep the sum exactly
        np.testing.assert_allclose(adapted.sum(1), weight.sum(1), atol=1e-5)
    if channels == 5:
        np.testing.assert_allclose(adapted[:, 3], weight[:, 0] * 0.6, rtol=1e-6)


def test_adapting_to_the_same_channels_changes_nothing():
    weight = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype("float16")
    np.testing.assert_array_equal(adapt_first_conv(weight, 3), weight)


def test_what_cannot_be_adapted():
    with pytest.raises(ModelError, match=r"got shape \[8, 3\] and 1 channels"):
        adapt_first_conv(np.zeros((8, 3)), 1)
