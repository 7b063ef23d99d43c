"""Names of the world's ResNets, and ours."""

import paddle
import pytest

from paddle_resnet import create_model
from paddle_resnet.weights.key_names import block_names, is_head, origin_of, to_own_name


def names_of(model):
    with paddle.LazyGuard():  # names are enough: no weights are drawn
        return list(create_model(model).state_dict())


@pytest.fixture(scope="module")
def own():
    return names_of("resnet50")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv1.weight", "conv1.weight"),
        # Wrappers.
        ("module.conv1.weight", "conv1.weight"),
        ("_orig_mod.module.fc.bias", "fc.bias"),
        ("_layers.bn1._mean", "bn1._mean"),
        ("backbone.layer1.0.bn3.running_var", "layer1.0.bn3._variance"),
        ("model.layer4.2.conv3.weight", "layer4.2.conv3.weight"),
        # Heads.
        ("linear.weight", "fc.weight"),
        ("classifier.bias", "fc.bias"),
        ("head.fc.weight", "fc.weight"),
        ("module.classifier.1.weight", "fc.weight"),
        # kuangliu, akamaster.
        ("layer2.0.shortcut.0.weight", "layer2.0.downsample.0.weight"),
        ("module.layer2.0.shortcut.1.running_mean", "layer2.0.downsample.1._mean"),
        # Paddle's lesson and PaddleClas.
        ("conv._conv.weight", "conv1.weight"),
        ("conv._batch_norm._mean", "bn1._mean"),
        ("bb_1_0.conv0._conv.weight", "layer2.0.conv1.weight"),
        ("bb_1_0.conv2._batch_norm._variance", "layer2.0.bn3._variance"),
        ("bb_3_0.short._conv.weight", "layer4.0.downsample.0.weight"),
        ("bb_3_0.short._batch_norm.bias", "layer4.0.downsample.1.bias"),
        ("out.weight", "fc.weight"),
        ("stem.0.conv.weight", "conv1.weight"),
        ("stem.0.bn._mean", "bn1._mean"),
        ("blocks.3.conv0.conv.weight", "layer2.0.conv1.weight"),
        ("blocks.3.short.bn._mean", "layer2.0.downsample.1._mean"),
        ("blocks.15.conv2.bn.weight", "layer4.2.bn3.weight"),
        # Detectron2.
        ("backbone.stem.conv1.norm.running_mean", "bn1._mean"),
        ("stem.conv1.weight", "conv1.weight"),
        ("res3.0.conv2.norm.weight", "layer2.0.bn2.weight"),
        ("res3.0.shortcut.weight", "layer2.0.downsample.0.weight"),
        ("res3.0.shortcut.norm.running_var", "layer2.0.downsample.1._variance"),
        # The original, from Caffe.
        ("bn_conv1.running_mean", "bn1._mean"),
        ("res2a_branch1.weight", "layer1.0.downsample.0.weight"),
        ("bn2a_branch1.bias", "layer1.0.downsample.1.bias"),
        ("res4f_branch2b.weight", "layer3.5.conv2.weight"),
        ("bn4b3_branch2c.running_var", "layer3.3.bn3._variance"),
        ("fc1000.weight", "fc.weight"),
    ],
)
def test_names_are_translated(theirs, ours, own):
    assert to_own_name(theirs, own, block_names(own)) == ours
    assert ours in own


def test_a_name_that_is_ours_stays(own):
    for name in own:
        assert to_own_name(name, own, block_names(own)) == name


def test_an_unknown_name_stays_unknown(own):
    assert to_own_name("roi_heads.box.weight", own) not in own


def test_timms_deep_stem():
    own = names_of("resnet50_d")
    assert to_own_name("bn1.running_mean", own) in own


def test_blocks_are_in_the_networks_order(own):
    names = block_names(own)
    assert len(names) == 16
    assert names[2:4] == ["layer1.2", "layer2.0"]


def test_heads():
    assert is_head("fc.weight")
    assert is_head("aux1.fc2.bias")
    assert not is_head("layer1.0.se.fc1.weight")


def test_origins():
    assert origin_of(["bn1.running_mean"]) == "torch"
    assert origin_of(["bn1._mean"]) == "paddle"
    assert origin_of(["fc.weight"]) is None
