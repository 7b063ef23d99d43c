"""Names of the world's ResNets, and ours."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddle_resnet import create_model, load_weights
from paddle_resnet.weights.key_names import block_names, is_head, origin_of, to_own_name

FIXTURES = Path(__file__).with_name("fixtures")


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


HUGGING_FACE = {
    "resnet.embedder.embedder.convolution.weight": "conv1.weight",
    "resnet.embedder.embedder.normalization.running_var": "bn1._variance",
    "embedder.embedder.normalization.bias": "bn1.bias",
    "resnet.encoder.stages.0.layers.0.shortcut.convolution.weight": "layer1.0.downsample.0.weight",
    "resnet.encoder.stages.3.layers.0.shortcut.normalization.bias": "layer4.0.downsample.1.bias",
    "resnet.encoder.stages.1.layers.3.layer.0.convolution.weight": "layer2.3.conv1.weight",
    "resnet.encoder.stages.2.layers.5.layer.1.normalization.running_mean": "layer3.5.bn2._mean",
    "encoder.stages.3.layers.2.layer.2.convolution.weight": "layer4.2.conv3.weight",
    "classifier.1.weight": "fc.weight",
}
WEIAICUNZAI = {
    "conv1.0.weight": "conv1.weight",
    "conv1.1.running_mean": "bn1._mean",
    "module.conv1.1.bias": "bn1.bias",
    "conv2_x.0.residual_function.0.weight": "layer1.0.conv1.weight",
    "conv2_x.0.residual_function.1.running_var": "layer1.0.bn1._variance",
    "conv3_x.1.residual_function.3.weight": "layer2.1.conv2.weight",
    "conv4_x.2.residual_function.4.bias": "layer3.2.bn2.bias",
    "conv5_x.0.residual_function.6.weight": "layer4.0.conv3.weight",
    "conv5_x.0.residual_function.7.weight": "layer4.0.bn3.weight",
    "conv5_x.0.shortcut.0.weight": "layer4.0.downsample.0.weight",
    "conv5_x.0.shortcut.1.running_mean": "layer4.0.downsample.1._mean",
}
SEQUENTIAL = {
    "0.weight": "conv1.weight",
    "1.running_mean": "bn1._mean",
    "1.weight": "bn1.weight",
    "4.0.conv1.weight": "layer1.0.conv1.weight",
    "backbone.7.2.bn3.running_var": "layer4.2.bn3._variance",
    "5.0.downsample.1.bias": "layer2.0.downsample.1.bias",
}


@pytest.mark.parametrize("names", [HUGGING_FACE, WEIAICUNZAI, SEQUENTIAL])
def test_names_of_other_repositories(names, own):
    found = {theirs: to_own_name(theirs, own, block_names(own)) for theirs in names}
    assert found == names
    assert set(names.values()) <= set(own)


PADDLECLAS_VD = {
    "stem.0.conv.weight": "conv1.0.weight",
    "stem.0.bn._mean": "conv1.1._mean",
    "stem.1.conv.weight": "conv1.3.weight",
    "stem.1.bn._variance": "conv1.4._variance",
    "stem.2.conv.weight": "conv1.6.weight",
    "stem.2.bn.bias": "conv1.7.bias",
    "blocks.0.short.conv.weight": "layer1.0.downsample.1.weight",
    "blocks.3.short.bn.weight": "layer2.0.downsample.2.weight",
    "blocks.13.short.bn._mean": "layer4.0.downsample.2._mean",
    "blocks.13.conv2.bn.weight": "layer4.0.bn3.weight",
    # An older version.
    "conv1_1._conv.weight": "conv1.0.weight",
    "conv1_3._batch_norm._mean": "conv1.7._mean",
    "bb_0_0.short._conv.weight": "layer1.0.downsample.1.weight",
    "bb_1_0.short._batch_norm.bias": "layer2.0.downsample.2.bias",
    # Detectron2's and Hugging Face's words, in a network of shortcuts D.
    "res3.0.shortcut.weight": "layer2.0.downsample.1.weight",
    "res3.0.shortcut.norm.weight": "layer2.0.downsample.2.weight",
}


def test_shortcut_d_and_the_deep_stem():
    own = names_of("resnet50_d")
    found = {theirs: to_own_name(theirs, own, block_names(own)) for theirs in PADDLECLAS_VD}
    assert found == PADDLECLAS_VD
    assert set(found.values()) <= set(own)


def test_squeeze_and_excitation_of_paddleclas():
    own = names_of("seresnet50")
    assert to_own_name("bb_0_0.scale.squeeze.weight", own) == "layer1.0.se.fc1.weight"
    assert to_own_name("bb_2_5.scale.excitation.bias", own) == "layer3.5.se.fc2.bias"


def test_all_of_paddleclass_resnet50_vd_finds_its_place(tmp_path):
    """Names and shapes of the real network, from PaddleClas 2.6.0."""
    shapes = json.loads((FIXTURES / "paddleclas_resnet50_vd.json").read_text())
    random = np.random.default_rng(0)
    state = {n: random.random(shape, np.float32) for n, shape in shapes.items()}
    paddle.save({n: paddle.to_tensor(a) for n, a in state.items()}, str(tmp_path / "vd.pdparams"))
    network = create_model("resnet50_d")
    report = load_weights(network, tmp_path / "vd.pdparams")
    assert not report.missing
    assert not report.skipped
    assert sorted(report.matched.values()) == sorted(shapes)
    own = network.state_dict()
    for ours, theirs in report.matched.items():
        assert np.array_equal(own[ours].numpy(), state[theirs])
    # In one order both ways: no two of one shape have changed places.
    order = [n for n in own if not n.startswith("fc")]
    places = [list(shapes).index(report.matched[n]) for n in order if ".downsample." not in n]
    assert places == sorted(places)


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
