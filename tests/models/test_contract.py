"""What every network of the table must do. By default one network of each kind, the rest is slow.

One network is built per name and shared between the checks; each leaves it fit for the next.
"""

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import adapt_first_conv, create_model, list_models
from paddle_resnet.models import Network

CLASSES = 7
KINDS = (
    *("resnet18", "resnet20", "resnet50", "plain20", "preact_resnet18", "seresnet50", "resnet50_d"),
    *("resnext50_32x4d", "resnet18_keras", "resnet18_residual_block", "googlenet", "nin"),
    "speedrun_resnet",
)
#: Exporting takes seconds; test_paddle_inference.py exports resnet20 and GoogLeNet.
EXPORTED = ("resnet18_keras", "preact_resnet18", "nin", "speedrun_resnet")
#: Of these, whose weights take most of the time, the quick case is a thin one: it has every layer,
#: in its place, and fewer channels. The network as it is, is slow.
THIN = {
    name: {"widths": (16, 24, 40, 48)}
    for name in (
        *("resnet18", "resnet50", "preact_resnet18", "seresnet50", "resnet50_d"),
        *("resnet18_keras", "resnet18_residual_block"),
    )
}


def cases(quick=KINDS):
    slow = pytest.mark.slow
    thin = [pytest.param((name, THIN[name]), id=name) for name in quick if name in THIN]
    return thin + [
        pytest.param(
            (name, {}),
            id=f"whole {name}" if name in THIN else name,
            marks=() if name in quick and name not in THIN else slow,
        )
        for name in list_models()
    ]


@pytest.fixture(scope="module", params=cases())
def named(request, images):
    paddle.seed(1)
    name, options = request.param
    network = create_model(name, num_classes=CLASSES, **options)
    settle(network, images)
    return name, options, network


@pytest.fixture(scope="module")
def images():
    paddle.seed(2)
    return paddle.randn([2, 3, 33, 47])


def settle(network, images):
    """Give BN the statistics of a batch: with none, signals double in each block until infinity."""
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    momentum = norms[0]._momentum
    for norm in norms:
        norm._momentum = 0.0
    with paddle.no_grad():
        assert np.isfinite(network(images).numpy()).all()
    for norm in norms:
        norm._momentum = momentum


def close(a, b, what="", tolerance=1e-4):
    a, b = np.asarray(a), np.asarray(b)
    np.testing.assert_allclose(
        a, b, rtol=0, atol=tolerance * max(float(np.abs(b).max()), 1e-6), err_msg=what
    )


def step(network, images):
    """Run forward and backward in training mode; return output, gradients and statistics."""
    images = images[:, :, :24, :32]
    paddle.seed(3)
    network.train()
    for parameter in network.parameters():
        parameter.clear_gradient(False)
    logits = network(images)
    loss = network.training_loss(nn.CrossEntropyLoss())
    loss(logits, paddle.to_tensor([1, 4])).backward()
    return (
        logits.numpy(),
        {n: p.grad.numpy() for n, p in network.named_parameters() if p.grad is not None},
        {n: p.numpy() for n, p in network.named_parameters() if n.endswith(("_mean", "_variance"))},
    )


def test_is_a_network_with_a_head_that_can_be_run_alone(named, images):
    *_, network = named
    assert isinstance(network, Network)
    network.eval()
    maps = network.forward_features(images)
    assert maps.shape[1] == network.num_features
    logits = network.forward_head(maps)
    assert np.isfinite(logits.numpy()).all()
    assert logits.shape == [2, CLASSES] == [2, network.num_classes]
    close(network(images), logits)


def test_a_single_image_in_eval_mode_gets_the_same_answer(named, images):
    *_, network = named
    network.eval()
    close(network(images[:1]), network(images)[:1])


def test_feature_maps_have_the_channels_and_strides_they_claim(named, images):
    *_, network = named
    network.eval()
    maps = network.features(images)
    assert len(maps) == len(network.feature_info) >= 3
    for map_, info in zip(maps, network.feature_info):
        assert map_.shape[:2] == [2, info.channels], info
        for size, pixels in zip(map_.shape[2:], (33, 47)):
            # Valid convolutions and ceil-mode pooling move a border by a pixel or two.
            assert abs(size - math.ceil(pixels / info.stride)) <= 2, info
    last = network.features(images, [len(maps), network.feature_info[0].name])
    close(last[0], maps[-1])
    close(last[1], maps[0])


def test_every_trainable_parameter_gets_a_gradient_and_recompute_changes_nothing(named, images):
    *_, network = named
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plain = step(network, images)
    trainable = {n for n, p in network.named_parameters() if not p.stop_gradient}
    assert set(plain[1]) == trainable
    assert all(np.isfinite(gradient).all() for gradient in plain[1].values())

    network.set_state_dict(before)
    network.recompute = 2
    try:
        again = step(network, images)
    finally:
        network.recompute = False
    close(again[0], plain[0], "logits", 1e-6)
    for part in (1, 2):
        assert set(again[part]) == set(plain[part])
        for name, value in plain[part].items():
            close(again[part][name], value, name, 1e-5)
    network.set_state_dict(before)


def test_grey_images_in_nhwc_give_what_three_equal_colours_give_in_nchw(named, images):
    name, options, network = named
    options = {"num_classes": CLASSES, **options}
    grey = create_model(name, in_channels=1, data_format="NHWC", **options)
    # In float64: adding the colours' weights up rounds, and deep plain networks magnify that.
    network.to(dtype="float64")
    grey.to(dtype="float64")
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    first = next(key for key in state if state[key].ndim == 4)
    state[first] = adapt_first_conv(state[first], 1)
    missing, unexpected = grey.set_state_dict(state)
    assert (missing, unexpected) == ([], [])
    grey.eval()
    network.eval()
    x = images[:, :1].astype("float64")
    close(
        grey(paddle.transpose(x, [0, 2, 3, 1])),
        network(paddle.concat([x] * 3, axis=1)),
        tolerance=1e-6,
    )
    network.to(dtype="float32")  # what was float32 before loses nothing
    assert [n for n, _ in grey.named_parameters()] == [n for n, _ in network.named_parameters()]


def test_saves_and_loads(named, images, tmp_path):
    name, options, network = named
    path = str(tmp_path / "weights.pdparams")
    state = network.state_dict()
    assert len(set(state)) == len(network.parameters())
    paddle.save(state, path)
    with paddle.LazyGuard():
        keys = set(create_model(name, num_classes=CLASSES, **options).state_dict())
    loaded = paddle.load(path)
    assert set(loaded) == keys
    network.eval()
    expected = network(images)
    for value in state.values():
        value.set_value(paddle.zeros_like(value))
    assert network.set_state_dict(loaded) == ([], [])
    close(network(images), expected, tolerance=0)


@pytest.mark.parametrize("named", cases(EXPORTED), indirect=True)
def test_an_exported_network_gives_the_same_answers(named, images, tmp_path):
    *_, network = named
    network.eval()
    path = str(tmp_path / "exported")
    spec = paddle.static.InputSpec([None, 3, None, None], "float32")
    paddle.jit.save(network, path, input_spec=[spec])
    exported = paddle.jit.load(path)
    close(exported(images), network(images))
    close(exported(images[:1, :, :32, :32]), network(images[:1, :, :32, :32]))


def test_paddle_model_trains_a_step(named, images):
    *_, network = named
    model = paddle.Model(network)
    optimizer = paddle.optimizer.Momentum(0.001, 0.9, parameters=network.parameters())
    loss = network.training_loss(nn.CrossEntropyLoss())
    model.prepare(optimizer, loss, paddle.metric.Accuracy())
    losses, _ = model.train_batch([images], [paddle.to_tensor([[1], [5]])])
    assert np.isfinite(losses).all()
    assert model.predict_batch([images])[0].shape == (2, CLASSES)


def test_reset_classifier_freezing_and_param_groups(named, images):
    kind, _, network = named
    network.freeze_backbone()
    network.reset_classifier(5)
    trainable = [n for n, p in network.named_parameters() if not p.stop_gradient]
    assert trainable == ["fc.weight", "fc.bias"]
    before = {n: p.numpy() for n, p in network.named_parameters() if not n.startswith("fc")}
    logits, gradients, statistics = step(network, images)
    assert logits.shape == (2, 5)
    assert set(gradients) == {"fc.weight", "fc.bias"}
    for name, value in network.named_parameters():
        if not name.startswith("fc"):
            np.testing.assert_array_equal(value.numpy(), before[name], name)

    network.unfreeze_backbone()
    still = {n for n, p in network.named_parameters() if p.stop_gradient}
    never = {id(p) for p in network.never_trained()}
    assert (kind == "speedrun_resnet") == bool(never)
    never_named = {n for n, p in network.named_parameters() if id(p) in never}
    assert still == never_named | {n for n in before if n.endswith(("_mean", "_variance"))}
    _, _, after = step(network, images)
    assert any((after[name] != statistics[name]).any() for name in statistics)

    groups = network.param_groups(layer_decay=0.5, decay_norms_and_biases=False)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters() if not p.stop_gradient)
    assert groups[0]["learning_rate"] == 1.0
    assert {id(p) for p in network.fc.parameters()} <= set(grouped[:3])
    network.reset_classifier(CLASSES)
