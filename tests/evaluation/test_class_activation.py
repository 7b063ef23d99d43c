"""Grad-CAM and LayerCAM against their definitions, on networks with known answers."""

import numpy as np
import paddle
import pytest

import paddle_resnet
from paddle_resnet.errors import ModelError
from paddle_resnet.evaluation.class_activation import class_activation, heatmap
from paddle_resnet.models import ResNet, create_model


@pytest.fixture
def network():
    paddle.seed(0)
    return ResNet((1, 1), "basic", 5, widths=(4, 8), stem="cifar")


@pytest.fixture
def images():
    return np.random.RandomState(0).normal(size=(3, 3, 16, 16)).astype(np.float32)


def by_hand(network, images, stage, target):
    """Activation and gradient at a stage, by a pass through the whole network."""
    network.eval()
    kept = {}
    layer = getattr(network, stage)

    def keep(_, __, output):
        kept["a"] = output
        output.retain_grads()

    hook = layer.register_forward_post_hook(keep)
    x = paddle.to_tensor(images)
    x.stop_gradient = False
    logits = network(x)
    logits.take_along_axis(paddle.to_tensor(np.array(target)[:, None]), 1).sum().backward()
    hook.remove()
    return kept["a"].numpy(), kept["a"].grad.numpy()


@pytest.mark.parametrize("stage", ["layer1", "layer2"])
def test_both_methods_follow_their_formulas(network, images, stage):
    target = [0, 4, 2]
    a, g = by_hand(network, images, stage, target)
    network.clear_gradients()
    grad_cam = np.maximum(np.einsum("nc,nchw->nhw", g.mean((2, 3)), a), 0)
    layer_cam = np.maximum((np.maximum(g, 0) * a).sum(1), 0)
    for method, wanted in (("grad_cam", grad_cam), ("layer_cam", layer_cam)):
        found = class_activation(network, images, method=method, stage=stage, target=target)
        assert found.shape == wanted.shape
        assert np.allclose(found, wanted, atol=1e-6)


def test_the_default_is_the_predicted_class_and_the_last_stage(network, images):
    network.eval()
    predicted = network(paddle.to_tensor(images)).numpy().argmax(1)
    found = class_activation(network, images)
    assert np.array_equal(
        found, class_activation(network, images, stage="layer2", target=predicted)
    )
    assert np.array_equal(
        found[:1], class_activation(network, images[:1], target=int(predicted[0]))
    )


def test_stages_of_too_few_places_are_passed_over(images):
    paddle.seed(0)
    network = ResNet((1, 1, 1), "basic", 5, widths=(4, 8, 8), stem="cifar")
    small = images[:, :, :8, :8]  # 8x8, 4x4, 2x2
    assert class_activation(network, small).shape == (3, 4, 4)
    assert class_activation(network, small, stage="layer3").shape == (3, 2, 2)


def test_a_map_is_where_the_class_is():
    """One channel copies the image's red; only class 1 counts it: the map is the red spot."""
    paddle.seed(0)
    network = ResNet((1,), "basic", 2, widths=(4,), stem="cifar", norm_layer=None)
    block = network.layer1[0]
    for convolution in (network.conv1.conv, block.conv1.conv, block.conv2.conv):
        convolution.weight.set_value(np.zeros(convolution.weight.shape, np.float32))
    copy = np.zeros(network.conv1.conv.weight.shape, np.float32)
    copy[0, 0, 1, 1] = 1
    network.conv1.conv.weight.set_value(copy)
    network.fc.weight.set_value(np.array([[0, 1]] + [[0, 0]] * 3, np.float32))
    image = np.zeros((1, 3, 8, 8), np.float32)
    image[0, 0, 2, 5] = 1
    for method in ("grad_cam", "layer_cam"):
        found = heatmap(network, image, method=method, target=1)
        assert found.shape == (1, 8, 8)
        assert np.array_equal(np.argwhere(found[0] > 0), [[2, 5]])
        assert found[0, 2, 5] == 1
        # No place speaks for class 0: an empty map, not NaN.
        assert not heatmap(network, image, method=method, target=0).any()


def test_maps_have_the_size_of_the_image_and_a_peak_of_one(network, images):
    found = heatmap(network, images)
    assert found.shape == (3, 16, 16)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max(axis=(1, 2)).tolist() == [1, 1, 1]
    # Enlarged after the formula, before the division.
    raw = paddle.to_tensor(class_activation(network, images)[:, None])
    larger = paddle.nn.functional.interpolate(raw, [16, 16], mode="bilinear").numpy()[:, 0]
    assert np.allclose(found, larger / larger.max(axis=(1, 2), keepdims=True), atol=1e-6)


def test_the_network_stays_as_it_is(network, images):
    network.train()
    network.freeze_backbone()
    before = {k: v.numpy() for k, v in network.state_dict().items()}
    frozen = heatmap(network, images)
    assert network.training
    for key, value in network.state_dict().items():
        assert np.array_equal(value.numpy(), before[key])
    assert all(p.grad is None for p in network.parameters())
    network.unfreeze_backbone()
    assert np.array_equal(heatmap(network, images), frozen)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("googlenet", {}),
        ("nin", {}),
        ("resnet50", {"stem": "cifar"}),
        ("preact_resnet18", {}),
        ("speedrun_resnet", {}),
        ("resnet18", {"data_format": "NHWC", "stem": "cifar"}),
    ],
)
def test_every_kind_of_network(name, options):
    network = create_model(name, num_classes=10, **options)
    images = np.random.RandomState(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    if options.get("data_format") == "NHWC":
        images = images.transpose(0, 2, 3, 1)
    found = heatmap(network, images)
    assert found.shape == (2, 32, 32)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "gradcam"}, "Did you mean 'grad_cam'"),
        ({"stage": "layer7"}, "expected one of layer1, layer2"),
        ({"target": 5}, "a class from 0 to 4"),
        ({"target": [0, 1]}, "one for each of 3 images"),
        ({"target": -1}, "a class from 0 to 4"),
        ({"target": 1.5}, "a class from 0 to 4"),
    ],
)
def test_errors_are_sentences(network, images, options, words):
    with pytest.raises(ModelError, match=words):
        heatmap(network, images, **options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:, :1], r"the shape \[3, 1, 16, 16\], expected floats \[N, 3, H, W\]"),
        (lambda x: x.transpose(0, 2, 3, 1), r"the shape \[3, 16, 16, 3\]"),
        (lambda x: x[0], r"the shape \[3, 16, 16\]"),
        (lambda x: x[:0], r"the shape \[0, 3, 16, 16\]"),
        (lambda x: x[:, :, :0], r"the shape \[3, 3, 0, 16\]"),
        (lambda x: (x * 50 + 128).astype(np.uint8), "is of uint8, expected floats .*normalized"),
        (lambda x: paddle.to_tensor(x.astype(np.int64)), "is of int64"),
        (lambda x: x * np.nan, "NaN or infinite"),
        (lambda x: None, "is None"),
        (lambda x: "cat.jpg", "is 'cat.jpg'"),
        (lambda x: [x[0], x[1, :, :8]], "expected floats"),
    ],
)
def test_images_that_a_network_cannot_take(network, images, change, words):
    network.train()
    with pytest.raises(ModelError, match=words):
        heatmap(network, change(images))
    assert network.training


def test_images_of_other_floats_and_as_lists(network, images):
    wanted = heatmap(network, images)
    for given in (images.astype(np.float64), images.tolist(), paddle.to_tensor(images)):
        assert np.array_equal(heatmap(network, given), wanted)


def test_channels_of_nhwc_networks_are_last():
    network = create_model("resnet18", num_classes=10, data_format="NHWC", stem="cifar")
    with pytest.raises(ModelError, match=r"\[1, 3, 32, 32\], expected floats \[N, H, W, 3\]"):
        heatmap(network, np.zeros((1, 3, 32, 32), np.float32))


def test_side_heads_change_nothing():
    paddle.seed(0)
    network = create_model("googlenet", num_classes=10, aux_heads=True)
    images = np.random.RandomState(0).normal(size=(1, 3, 96, 96)).astype(np.float32)
    network.train()
    found = heatmap(network, images)
    plain = create_model("googlenet", num_classes=10)
    plain.set_state_dict({k: v for k, v in network.state_dict().items() if k in plain.state_dict()})
    assert np.array_equal(found, heatmap(plain, images))


def test_networks_without_classes(images):
    for network in (ResNet((1,), "basic", 0, widths=(4,)), paddle.nn.Linear(2, 2)):
        with pytest.raises(ModelError, match="no class scores"):
            heatmap(network, images)


def test_public_name():
    assert paddle_resnet.heatmap is heatmap
