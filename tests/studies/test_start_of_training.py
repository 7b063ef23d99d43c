"""Exact facts of untrained networks, and the studies of them in small."""

import numpy as np
import paddle
import pytest

from paddle_resnet.data import load_cifar10
from paddle_resnet.errors import ModelError, UserError
from paddle_resnet.models import create_model
from paddle_resnet.studies import shattering, shortcuts, signal
from paddle_resnet.studies.shared import block_walk
from paddle_resnet.studies.shared.bn_modes import batch_statistics, settle
from paddle_resnet.studies.shared.cifar_networks import cifar_network, scale_convolutions
from paddle_resnet.studies.shared.cifar_subset import Subset, balanced_indices, normalize
from paddle_resnet.studies.shared.ridge_probe import RidgeProbe
from paddle_resnet.studies.shared.signal_profile import (
    growth_per_block,
    mean_cosine,
    signal_profile,
)


@pytest.fixture(scope="module")
def subset():
    data = load_cifar10("sample")
    chosen = balanced_indices(data.train_labels, 20, 0)
    return Subset(normalize(data.train_images[chosen], size=16), data.train_labels[chosen])


def profile(subset, residual, depth=20, factor=1.0, **options):
    network = cifar_network(depth, residual, 8, seed=0, **options)
    scale_convolutions(network, factor)
    with batch_statistics(network):
        return signal_profile(network, subset)


def test_balanced_subsets_are_drawn_as_specified():
    labels = np.repeat(np.arange(10), 30)[np.random.RandomState(5).permutation(300)]
    chosen = balanced_indices(labels, 40, 3)
    assert np.bincount(labels[chosen]).tolist() == [4] * 10
    random = np.random.RandomState(3)
    picked = []
    for c in range(10):
        picked.extend(random.permutation(np.flatnonzero(labels == c))[:4])
    assert np.array_equal(chosen, random.permutation(picked))
    with pytest.raises(UserError, match="multiple of 10"):
        balanced_indices(labels, 64, 0)
    # A class too small for the count: all classes give as many as it has.
    assert len(balanced_indices(labels, 1000, 0)) == 300


def test_half_size_is_the_mean_of_two_by_two():
    pixels = np.random.RandomState(0).randint(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    whole, half = normalize(pixels), normalize(pixels, size=16)
    assert half[1, 2, 3, 5] == pytest.approx(whole[1, 2, 6:8, 10:12].mean(), abs=1e-6)
    assert whole.dtype == half.dtype == np.float32


def test_plain_and_residual_networks_of_a_seed_are_paired():
    one, other = cifar_network(20, True, 8, seed=3), cifar_network(20, False, 8, seed=3)
    for a, b in zip(one.parameters(), other.parameters()):
        assert np.array_equal(a.numpy(), b.numpy())


def test_the_terms_of_a_block_add_up_to_its_output(subset):
    network = cifar_network(20, True, 8, seed=0)
    settle(network, subset.images)
    x = block_walk.stem(network, paddle.to_tensor(subset.images))
    for name, block in block_walk.blocks(network):
        f, s = block_walk.residual_function(block, x), block_walk.shortcut(block, x)
        output = block(x)
        assert np.abs((paddle.nn.functional.relu(f + s) - output).numpy()).max() < 1e-5
        assert block_walk.changes_shape(block) == (name in ("layer2.0", "layer3.0"))
        x = output
    logits = block_walk.head(network, x)
    assert np.array_equal(logits.numpy(), network(paddle.to_tensor(subset.images)).numpy())


@pytest.mark.parametrize("block", ["basic", "preact_basic"])
def test_the_walk_computes_the_network(subset, block):
    network = cifar_network(20, True, 8, seed=0, block=block)
    network.eval()
    images = paddle.to_tensor(subset.images)
    outputs = block_walk.activations(network, images)
    assert len(outputs) == 10
    logits = block_walk.head(network, outputs[-1])
    assert np.array_equal(logits.numpy(), network(images).numpy())


def test_networks_that_cannot_be_taken_apart():
    with pytest.raises(ModelError, match="GoogLeNet cannot be taken apart"):
        block_walk.blocks(create_model("googlenet", num_classes=10))
    with pytest.raises(ModelError, match="Linear cannot be taken apart"):
        block_walk.blocks(paddle.nn.Linear(2, 2))
    block = block_walk.blocks(cifar_network(8, True, 8, seed=0, early_relu=True))[0].layer
    with pytest.raises(ModelError, match="early ReLU"):
        block_walk.residual_function(block, paddle.zeros([1, 8, 4, 4]))


def test_settled_statistics_are_those_of_the_images(subset):
    network = cifar_network(20, False, 8, seed=0)
    settle(network, subset.images)
    assert not network.training
    with paddle.no_grad():
        x = paddle.to_tensor(subset.images)
        before = network.conv1.conv(x).numpy()
        wanted = before.mean(axis=(0, 2, 3))
    assert np.allclose(network.conv1.bn._mean.numpy(), wanted, atol=1e-5)
    # In batch mode on the same images the network gives the same, and keeps its statistics.
    running = network(x).numpy()
    kept = network.conv1.bn._mean.numpy()
    with batch_statistics(network), paddle.no_grad():
        assert np.allclose(network(x).numpy(), running, atol=1e-3)
    assert np.array_equal(network.conv1.bn._mean.numpy(), kept)
    assert not network.training
    assert network.conv1.bn._momentum == 0.9


def test_zero_gamma_keeps_gradients_inside_a_stage(subset):
    found = profile(subset, True, zero_init_residual=True)
    growth = growth_per_block(found.gradient, 3)
    assert growth[:2] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert found.std[1] == pytest.approx(found.std[0], rel=1e-5)


def test_half_weights_without_bn_shrink_to_a_quarter_per_block(subset):
    found = profile(subset, False, factor=0.5, norm_layer=None)
    for growth in growth_per_block(found.gradient, 3):
        assert 0.15 < growth < 0.35
    assert found.std[-1] < 1e-4


def test_a_factor_of_the_weights_cancels_in_bn(subset):
    one, other = (profile(subset, False, factor=factor) for factor in (1.0, 2.0))
    assert other.std == pytest.approx(one.std, rel=1e-3)
    # Gradients of the weights scale by the inverse.
    assert other.weight_gradient == pytest.approx([g / 2 for g in one.weight_gradient], rel=1e-2)


def test_growth_is_a_geometric_mean_inside_each_stage():
    values = [0.0, 8.0, 4.0, 2.0, 9.0, 3.0, 1.0, 5.0, 5.0, 5.0]
    assert growth_per_block(values, 3) == pytest.approx([2.0, 3.0, 1.0])


def test_mean_cosine_is_over_pairs_of_different_rows():
    rows = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    pairs = [0.0, np.sqrt(0.5), np.sqrt(0.5)]
    assert mean_cosine(rows) == pytest.approx(np.mean(pairs))
    assert np.isnan(mean_cosine(np.zeros((2, 3))))


def test_ridge_probe_solves_the_penalized_least_squares():
    random = np.random.RandomState(0)
    features, labels = random.normal(size=(50, 4)) * [1, 10, 1, 0], random.randint(0, 10, 50)
    probe = RidgeProbe(features, labels, penalty=3.0)
    x = features[:, :3]
    x = (x - x.mean(0)) / x.std(0)
    targets = np.eye(10)[labels]
    rows = np.vstack([x, np.sqrt(3.0) * np.eye(3)])
    wanted = np.linalg.lstsq(
        rows, np.vstack([targets - targets.mean(0), np.zeros((3, 10))]), rcond=None
    )[0]
    assert np.allclose(probe.weights[:3], wanted)
    assert np.allclose(probe.weights[3], 0)
    separable = np.eye(10)[labels]
    assert RidgeProbe(separable, labels, 1e-3).accuracy(separable, labels) == 1.0


def test_signal_in_small():
    result = signal(data="sample", depths=[8, 14], width=4, size=16, images=20, lang="en")
    names = {(n["name"], n["depth"]) for n in result.results["networks"]}
    assert len(names) == 2 * 9
    assert all(len(n["std"]) == (n["depth"] - 2) // 2 + 1 for n in result.results["networks"])
    assert len(result.table.rows) == len(names)
    assert len(result.figure_spec.panels) == 9
    assert {rule.key for rule in result.verdict.rules} == set(signal.card.rules)


def test_shattering_in_small():
    small = {"depths": [8, 14], "width": 4, "size": 16, "images": 10, "settle_images": 20}
    result = shattering(data="sample", mlp_width=10, mlp_points=20, steps=[1e-4, 0.01], **small)
    # Along a tiny step nothing but rounding and single kinks turns the gradient.
    assert min(row[0] for row in result.results["cosine"]["residual 8"]) > 0.9
    assert len(result.figure_spec.panels) == 4


def test_shortcuts_in_small():
    result = shortcuts(data="sample", depths=[8, 14], width=4, size=16, images=20)
    share = next(n for n in result.results["networks"] if n["name"] == "C")["share_of_f"]
    assert all(0.3 < s < 0.7 for s in share)  # two terms with BN of their own
    assert len(result.table.rows) == 12


@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_verdict_of_shortcuts_follows_the_numbers(factor):
    networks = [
        {"name": name, "depth": depth, "ratio": ratio, "mean": [0.0, mean]}
        for depth in (20, 56, 110)
        for name, ratio, mean in (
            ("A", 10.0, 1.0),
            ("C", 10.0 * 10 * factor, 1.0),
            ("early ReLU", 10.0, 2.0 * factor),
        )
    ]
    rules, _ = shortcuts.experiment.judge({"networks": networks})
    assert all(rule.holds is (factor > 1) for rule in rules)
