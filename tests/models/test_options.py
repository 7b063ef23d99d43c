"""The options of ResNet that are about the network as a whole."""

import copy

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import ConvBNLayer, ResNet, StochasticDepth, create_model, resnet50
from paddle_resnet.errors import ModelError
from paddle_resnet.layers import BasicBlock

SMALL = {"widths": (8, 16, 24, 32), "num_classes": 10}


def small(**options):
    return ResNet(**{"layers": (2, 2, 2, 2), "block": "basic", **SMALL, **options})


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("block", ["basic", "bottleneck", "preact_basic", "preact_bottleneck"])
@pytest.mark.parametrize("place", ["v1", "v1.5"])
def test_a_dilated_network_computes_the_strided_one_and_what_lies_between(
    output_stride, block, place
):
    """What makes weights trained with strides right for a dilated network."""
    paddle.seed(0)
    strided = small(block=block, stride_place=place)
    dilated = small(block=block, stride_place=place, output_stride=output_stride)
    assert dilated.set_state_dict(strided.state_dict()) == ([], [])
    strided.eval()
    dilated.eval()
    x = paddle.randn([1, 3, 65, 97])
    sparse, dense = strided.forward_features(x).numpy(), dilated.forward_features(x).numpy()
    step = 32 // output_stride
    assert dense.shape[2:] == tuple(-(-n // output_stride) for n in (65, 97))
    np.testing.assert_allclose(dense[:, :, ::step, ::step], sparse, atol=1e-4 * sparse.max())
    assert dilated.feature_info[-1].stride == output_stride


def test_output_stride_is_another_spelling_of_replace_stride_with_dilation():
    a = small(block="bottleneck", output_stride=8)
    b = small(block="bottleneck", replace_stride_with_dilation=(False, True, True))
    dilations = lambda n: [c._dilation for c in n.sublayers() if isinstance(c, nn.Conv2D)]  # noqa: E731
    assert dilations(a) == dilations(b)
    # torchvision: the first block of a dilated stage keeps the dilation before it.
    assert [block.conv2.conv._dilation[0] for block in (*a.layer3, *a.layer4)] == [1, 2, 2, 4]
    assert small(stem="cifar", output_stride=2).feature_info[-1].stride == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replace_stride_with_dilation": (True, False)}, r"3 booleans.*got \(True, False\)"),
        ({"replace_stride_with_dilation": "yes"}, "got 'yes'"),
        ({"replace_stride_with_dilation": True}, "got True"),
        ({"replace_stride_with_dilation": (0, 1, 1)}, r"got \(0, 1, 1\)"),
        (
            {"replace_stride_with_dilation": (False, False, True), "output_stride": 16},
            "without output_stride",
        ),
        ({"output_stride": 12}, "one of 4, 8, 16, 32 with this stem, got 12"),
        ({"output_stride": 8, "padding": "same"}, "do not go together"),
        ({"residual": False, "zero_init_residual": True}, "no signal at all"),
        ({"stochastic_depth": 1.0}, "less than 1, got 1.0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and less than 1, got 1.0"),
        ({"block": "bottlenek"}, r"unknown block 'bottlenek'.*Did you mean 'bottleneck'"),
        ({"data_format": "HWC"}, "must be NCHW or NHWC, got 'HWC'"),
        ({"recompute": -1}, "recompute must be"),
        ({"recompute": "yes"}, "recompute must be"),
        ({"groups": 5}, "cannot have 5 groups"),
        ({"shortcut": "keras", "block": "bottleneck"}, "from 8 to 32 channels with stride 1"),
        ({"residual": False, "stochastic_depth": 0.1}, "residual=False"),
        ({"se_reduction": -1}, "se_reduction must be at least 1, or 0 for no gate, got -1"),
        ({"in_channels": 0}, "no convolution goes from 0 to 8 channels"),
        ({"layers": None}, "no ResNet has None layers"),
        ({"layers": "50"}, "no ResNet has '50' layers"),
        ({"widths": 64}, "4 stages need as many widths, got 64"),
        ({"widths": (8, 16, 0, 32)}, "4 stages need as many widths"),
        ({"num_classes": True}, "num_classes must be a whole number"),
        ({"num_classes": 2.5}, "num_classes must be a whole number"),
    ],
)
def test_what_makes_no_network_is_a_sentence(options, words):
    with pytest.raises(ModelError, match=words):
        small(**options)


def test_stochastic_depth_grows_linearly_to_its_rate():
    rates = [s.rate for s in small(stochastic_depth=0.4).sublayers() if type(s) is StochasticDepth]
    np.testing.assert_allclose(rates, np.linspace(0.05, 0.4, 8))
    only = ResNet((1,), "basic", 10, widths=(8,), stochastic_depth=0.3)
    assert [s.rate for s in only.sublayers() if type(s) is StochasticDepth] == [0.3]


def test_stochastic_depth_does_nothing_in_eval_mode_nor_to_the_names():
    dropping, plain = small(stochastic_depth=0.5), small()
    assert dropping.set_state_dict(plain.state_dict()) == ([], [])
    dropping.eval()
    plain.eval()
    x = paddle.randn([2, 3, 33, 47])
    np.testing.assert_allclose(dropping(x).numpy(), plain(x).numpy(), atol=1e-5)


@pytest.mark.parametrize("block", ["basic", "bottleneck", "preact_basic"])
def test_zero_init_residual_makes_every_block_its_shortcut(block):
    network = small(block=block, zero_init_residual=True, shortcut="A")
    network.eval()
    x = paddle.randn([1, 3, 32, 32])
    first, second = network.features(x, [1, 2])
    pre = network.layer2[0].pre_activation
    y = network.layer2[0].act1(network.layer2[0].bn1(first)) if pre else first
    np.testing.assert_allclose(second.numpy(), network.layer2[0].downsample(y).numpy(), atol=1e-6)


def test_dropout_stands_in_front_of_the_linear_layer_in_training_only():
    network = small(dropout=0.5)
    seen = []
    network.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    maps = paddle.ones([4, 32, 2, 2])
    network.forward_head(maps)
    network.eval()
    network.forward_head(maps)
    assert set(np.unique(seen[0])) == {0.0, 2.0}
    assert (seen[1] == 1).all()


def test_zero_init_residual_waits_for_weights_that_are_made_later():
    with paddle.LazyGuard():
        network = small(zero_init_residual=True)
    for parameter in network.parameters():
        parameter.initialize()
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert not any(state[f"layer{i}.{j}.bn2.weight"].any() for i in (1, 2, 3, 4) for j in (0, 1))
    assert state["layer1.0.bn1.weight"].all()


def test_keras_network_has_the_maps_of_the_lesson():
    network = create_model("resnet18_keras")
    maps = network.features(paddle.randn([1, 3, 32, 32]))
    assert [map_.shape[2] for map_ in maps] == [30, 15, 8, 4]
    bn = network.bn1 if hasattr(network, "bn1") else network.conv1.bn
    assert (bn._momentum, bn._epsilon) == (0.99, 1e-3)
    assert network.state_dict()["layer2.0.downsample.0.bias"].shape == [128]


def test_injected_norm_and_activation_reach_every_unit():
    network = small(act="silu", norm_layer=lambda channels: nn.GroupNorm(4, channels))
    assert not [s for s in network.sublayers() if isinstance(s, nn.BatchNorm2D)]
    assert {block.conv2.act for block in network.layer3} == {"silu"}
    network(paddle.randn([1, 3, 32, 32])).sum().backward()


@pytest.mark.parametrize("stem", ["imagenet", "deep", "cifar", "keras"])
def test_the_stem_of_a_pre_activation_network_ends_with_its_convolution(stem):
    network = small(block="preact_basic", stem=stem)
    *inner, last = (u for u in network.conv1.sublayers(True) if isinstance(u, ConvBNLayer))
    assert (last.bn, last.act) == (None, None)
    assert all(unit.bn is not None and unit.act == "relu" for unit in inner)
    assert network(paddle.randn([2, 3, 32, 32])).shape == [2, 10]
    assert not {name for name in network.state_dict() if name.startswith("bn1.")}


def test_own_makers_of_stem_shortcut_and_block():
    class Own(BasicBlock):
        kernels = (3, 3, 3)

    network = ResNet(
        (1, 1),
        Own,
        10,
        widths=(8, 16),
        stem=lambda ins, width, style: (style.conv(ins, width, 5), nn.Identity(), 1),
        shortcut=lambda ins, outs, stride, style: style.conv(ins, outs, 1, stride=stride),
    )
    assert network.conv1.conv.weight.shape == [8, 3, 5, 5]
    assert network(paddle.randn([2, 3, 8, 8])).shape == [2, 10]


def test_features_of_chosen_stages():
    network = small()
    network.eval()
    x = paddle.randn([1, 3, 64, 64])
    assert [i.name for i in network.feature_info] == ["layer1", "layer2", "layer3", "layer4"]
    assert [i.stride for i in network.feature_info] == [4, 8, 16, 32]
    assert [m.shape[1] for m in network.features(x, (3, "layer1"))] == [24, 8]
    ran = []
    network.layer4.register_forward_post_hook(lambda *_: ran.append(4))
    network.features(x, [2])
    assert not ran
    for wrong in (0, 5, "layer5", "maxpool"):
        with pytest.raises(ModelError, match="expected one of layer1, layer2"):
            network.features(x, [wrong])


def test_frozen_stays_frozen_inside_another_layer_and_after_train():
    network = small()
    network.freeze_backbone()
    outer = nn.Sequential(network)
    outer.train()
    before = {n: p.numpy() for n, p in network.named_parameters()}
    frozen_train = network(paddle.randn([4, 3, 32, 32]))
    frozen_train.sum().backward()
    for name, parameter in network.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), before[name])
    x = paddle.randn([4, 3, 32, 32])
    train = network(x).numpy()
    network.eval()
    np.testing.assert_allclose(train, network(x).numpy(), atol=1e-5)


def test_recompute_reaches_the_weights_behind_a_frozen_stem():
    network = small(recompute=True)
    network.freeze_backbone()
    for parameter in network.layer4.parameters():
        parameter.stop_gradient = parameter.ndim == 1
    network(paddle.randn([2, 3, 33, 33])).sum().backward()
    assert all(p.grad is not None for p in network.layer4.parameters() if not p.stop_gradient)


def test_param_groups_by_depth():
    network = small(block="bottleneck")
    groups = network.param_groups(1e-4, layer_decay=0.5, decay_norms_and_biases=False)
    rate = {}
    for group in groups:
        assert group["weight_decay"] == (1e-4 if group["params"][0].ndim > 1 else 0.0)
        for p in group["params"]:
            rate[id(p)] = group["learning_rate"]
    rates = {n: rate[id(p)] for n, p in network.named_parameters() if not p.stop_gradient}
    assert rates["fc.weight"] == rates["fc.bias"] == 1
    assert rates["layer4.1.conv3.weight"] == rates["layer4.1.bn1.bias"] == 0.5
    assert rates["layer4.0.conv1.weight"] == rates["layer4.0.downsample.0.weight"] == 0.25
    assert rates["conv1.weight"] == 0.5**9
    assert len(network.param_groups()) == 1
    assert "weight_decay" not in network.param_groups()[0]
    assert len(network.param_groups(decay_norms_and_biases=False)) == 2


def test_an_optimizer_obeys_the_groups():
    network = small()
    groups = network.param_groups(0.5, layer_decay=0.5, decay_norms_and_biases=False)
    optimizer = paddle.optimizer.Momentum(0.1, 0.0, groups)
    before = {n: p.numpy() for n, p in network.named_parameters()}
    (network(paddle.randn([2, 3, 32, 32])).sum() * 0).backward()  # weight decay alone moves things
    optimizer.step()
    after = {n: p.numpy() for n, p in network.named_parameters()}
    np.testing.assert_allclose(after["fc.weight"], before["fc.weight"] * 0.95, rtol=1e-5)
    last, earlier = "layer4.1.conv2.weight", "layer4.0.conv2.weight"
    np.testing.assert_allclose(after[last], before[last] * 0.975, rtol=1e-5)
    np.testing.assert_allclose(after[earlier], before[earlier] * 0.9875, rtol=1e-5)
    np.testing.assert_array_equal(after["layer4.1.bn2.weight"], before["layer4.1.bn2.weight"])
    np.testing.assert_array_equal(after["fc.bias"], before["fc.bias"])


def test_deepcopy_is_a_network_of_its_own():
    network = small()
    twin = copy.deepcopy(network)
    twin.eval()
    network.eval()
    x = paddle.randn([1, 3, 32, 32])
    np.testing.assert_array_equal(twin(x).numpy(), network(x).numpy())
    twin.fc.weight.set_value(paddle.zeros_like(twin.fc.weight))
    assert network.fc.weight.numpy().any()


@pytest.mark.slow
def test_resnet1202_trains_a_step_with_recompute():
    network = create_model("resnet1202", recompute=25)
    model = paddle.Model(network)
    optimizer = paddle.optimizer.Momentum(0.01, parameters=network.parameters())
    model.prepare(optimizer, nn.CrossEntropyLoss())
    images, labels = paddle.randn([16, 3, 32, 32]), paddle.randint(0, 10, [16, 1])
    (loss,) = model.train_batch([images], [labels])
    assert np.isfinite(loss).all()
    with open("/proc/self/status") as status:  # the peak of the whole process, in kB
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(f"ResNet-1202, batch 16, recompute=25: peak memory {peak / 2**20:.2f} GiB")


def test_the_depth_of_50_counts_49_convolutions_with_any_shortcut():
    for shortcut, projections in (("A", 0), ("B", 4), ("C", 16), ("D", 4), ("biased", 4)):
        with paddle.LazyGuard():
            network = resnet50(shortcut=shortcut)
        convs = [n for n, s in network.named_sublayers() if isinstance(s, nn.Conv2D)]
        assert sum("downsample" in n for n in convs) == projections
        assert len(convs) - projections == 49
