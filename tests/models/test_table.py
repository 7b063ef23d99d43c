"""Every exact count of the table of networks."""

import inspect

import paddle
import pytest

import paddle_resnet
from paddle_resnet import count, create_model, list_models, model_info
from paddle_resnet.errors import ModelError

# Trainable parameters, multiply-accumulates in units of the last digit given, convolutions on the
# main path and on shortcuts.
IMAGENET = {
    "resnet18": (11_689_512, 1.814, 17, 3),
    "resnet34": (21_797_672, 3.664, 33, 3),
    "resnet50": (25_557_032, 4.089, 49, 4),
    "resnet101": (44_549_160, 7.801, 100, 4),
    "resnet152": (60_192_808, 11.514, 151, 4),
    "resnext50_32x4d": (25_028_904, 4.230, 49, 4),
    "resnext50_64x4d": (45_192_488, None, 49, 4),
    "resnext101_32x4d": (44_177_704, None, 100, 4),
    "resnext101_64x4d": (83_455_272, 15.460, 100, 4),
    "resnext101_32x8d": (88_791_336, 16.414, 100, 4),
    "resnext152_32x4d": (59_951_400, None, 151, 4),
    "resnext152_64x4d": (114_971_944, None, 151, 4),
    "wide_resnet50_2": (68_883_240, 11.398, 49, 4),
    "wide_resnet101_2": (126_886_696, 22.753, 100, 4),
    "seresnet50": (28_088_024, None, 49, 4),
    "resnet50_d": (25_576_264, None, 51, 4),
    # 2 * 64 fewer in the stem, 2 * 512 more in the last BN, projections without BN: 2 * 896 fewer,
    # and BN of a block's input instead of its output: 2 * (64 - 512) fewer.
    "preact_resnet18": (11_689_512 - 128 + 1024 - 1792 - 896, 1.814, 17, 3),
    "preact_resnet50": (25_549_352, 4.089, 49, 4),
    # The residual twins without their projections.
    "plain18": (11_689_512 - 64 * 128 - 128 * 256 - 256 * 512 - 2 * 896, None, 17, 0),
    "plain34": (21_797_672 - 64 * 128 - 128 * 256 - 256 * 512 - 2 * 896, None, 33, 0),
    "googlenet": (6_624_904, None, 57, 0),
}
CIFAR = {
    20: (269_722, 272_474, 40.55, 40.81),
    32: (464_154, 466_906, 68.86, 69.12),
    44: (658_586, 661_338, 97.17, 97.44),
    56: (853_018, 855_770, 125.49, 125.75),
    110: (1_727_962, 1_730_714, 252.89, 253.15),
    1202: (19_421_274, 19_424_026, 2829.24, 2829.50),
}


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_counts(name):
    parameters, gmacs, convolutions, projections = IMAGENET[name]
    info = model_info(name)
    assert info.parameters == parameters
    assert gmacs is None or round(info.macs / 1e9, 3) == gmacs
    assert (info.convolutions, info.projections, info.linears) == (convolutions, projections, 1)
    assert (info.input_size, info.num_classes) == (224, 1000)


@pytest.mark.parametrize("depth", CIFAR)
def test_cifar_counts_with_shortcuts_a_and_b(depth):
    with_a, with_b, macs_a, macs_b = CIFAR[depth]
    info = model_info(f"resnet{depth}")
    assert (info.parameters, round(info.macs / 1e6, 2)) == (with_a, macs_a)
    assert (info.convolutions, info.projections, info.linears) == (depth - 1, 0, 1)
    assert (info.input_size, info.num_classes) == (32, 10)
    with paddle.LazyGuard():
        table = count(create_model(f"resnet{depth}", shortcut="B"), (3, 32, 32))
    assert (table.total("parameters"), round(table.total("macs") / 1e6, 2)) == (with_b, macs_b)
    assert (table.layers("conv"), table.layers("projection")) == (depth - 1, 2)


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_plain_cifar_twins_have_the_same_layers(depth):
    plain, residual = model_info(f"plain{depth}"), model_info(f"resnet{depth}")
    assert (plain.parameters, plain.macs) == (residual.parameters, residual.macs)
    assert plain.convolutions == depth - 1


def test_the_lessons():
    keras = model_info("resnet18_keras")
    assert keras.parameters == 11_176_970
    assert keras.parameters + keras.statistics == 11_184_778
    # conv3 of the lesson has a bias where resnet18 has BN: c instead of 2c for 128, 256, 512.
    assert model_info("resnet18_residual_block").parameters == 11_173_962 - 896


@pytest.mark.parametrize(("depth", "mmacs"), [(18, 555.4), (50, 1297.8)])
def test_cifar_stem_multiplications(depth, mmacs):
    with paddle.LazyGuard():
        network = create_model(f"resnet{depth}", num_classes=10, stem="cifar")
    assert round(count(network, (3, 32, 32)).total("macs") / 1e6, 1) == mmacs


def test_googlenet_with_auxiliary_heads():
    with paddle.LazyGuard():
        network = create_model("googlenet", aux_heads=True)
    assert sum(p.size for p in network.parameters() if not p.stop_gradient) == 13_004_888


def test_network_in_network_is_made_of_1x1_convolutions():
    info = model_info("nin")
    weights = 25 * 3 * 192 + 192 * 160 + 160 * 96 + 25 * 96 * 192 + 2 * 192 * 192
    weights += 9 * 192 * 192 + 192 * 192 + 192 * 10 + 10
    norms = 2 * (192 + 160 + 96 + 3 * 192 + 2 * 192)
    assert info.parameters == weights + norms


def test_every_network_has_a_row_a_function_and_a_source():
    names = list_models()
    assert len(names) == len(set(names)) >= 34
    for name in names:
        info = model_info(name)
        assert info.name == name
        assert "arXiv:" in info.source or "lessons" in info.source
        builder = getattr(paddle_resnet, name)
        assert name in paddle_resnet.__all__
        assert info.source in inspect.getdoc(builder)


def test_options_of_a_call_win_over_those_of_the_row():
    network = paddle_resnet.resnet20(100, shortcut="B", in_channels=1)
    assert network.num_classes == 100
    assert network.conv1.conv.weight.shape == [16, 1, 3, 3]


def test_builders_take_the_classes_first_and_nothing_else_by_place():
    with paddle.LazyGuard():
        assert paddle_resnet.resnet18(10).num_classes == 10
        assert paddle_resnet.resnet18().num_classes == 1000
    with pytest.raises(TypeError):
        paddle_resnet.resnet18(10, 3)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet18", {"in_channels": "3"}, "in_channels must be a whole number, got '3'"),
        ("resnet18", {"groups": True}, "groups must be a whole number, got True"),
        ("resnet18", {"stochastic_depth": "x"}, "stochastic_depth must be a number, got 'x'"),
        ("resnet18", {"residual": "no"}, "residual must be true or false, got 'no'"),
        ("resnet18", {"norm_layer": "bn"}, "norm_layer must make a layer .* got 'bn'"),
        ("googlenet", {"aux_heads": 1}, "aux_heads must be true or false, got 1"),
        ("nin", {"dropout": None}, "dropout must be a number, got None"),
    ],
)
def test_options_of_another_type_are_refused_in_a_sentence(name, options, words):
    with pytest.raises(ModelError, match=words):
        create_model(name, **options)


def test_model_info_of_nothing():
    with pytest.raises(ModelError, match="Did you mean 'resnet1202'"):
        model_info("resnet1203")
