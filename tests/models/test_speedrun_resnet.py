"""The network of the speed record: what it is made of, and how it begins."""

import numpy as np
import paddle
import pytest

from paddle_resnet import count, create_model, model_info
from paddle_resnet.config import load_config
from paddle_resnet.data.splits import load_splits
from paddle_resnet.errors import ConfigError
from paddle_resnet.models.speedrun_resnet import PooledBlock
from paddle_resnet.optim.optimizers import make_optimizer
from paddle_resnet.training.setup.build_model import build_model, whiten


def test_counts():
    convolutions = 27 * 32 + 9 * (32 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    norms = 2 * (32 + 2 * 64 + 4 * 256)
    info = model_info("speedrun_resnet")
    assert info.parameters == convolutions + norms + 256 * 10 + 10
    # Pooling comes behind the first convolution of each block.
    at_32, at_16 = 27 * 32 + 9 * 32 * 64, 9 * (64 * 64 + 64 * 256)
    at_8, at_4 = 9 * 2 * 256 * 256, 9 * 256 * 256
    assert info.macs == at_32 * 32**2 + at_16 * 16**2 + at_8 * 8**2 + at_4 * 4**2 + 256 * 10


def test_each_pooling_is_counted():
    table = count(create_model("speedrun_resnet"), (3, 32, 32))
    shapes = [row.shape for row in table.rows if row.kind == "maxpool2d"]
    assert shapes[:3] == [[1, 64, 16, 16], [1, 256, 8, 8], [1, 256, 4, 4]]


def test_convolutions_begin_as_the_identity():
    paddle.seed(0)
    block = PooledBlock(4, 8)
    x = paddle.randn([2, 4, 6, 6])
    np.testing.assert_array_equal(block.conv1.conv(x)[:, :4].numpy(), x.numpy())
    wide = paddle.randn([2, 8, 6, 6])
    np.testing.assert_array_equal(block.conv2.conv(wide).numpy(), wide.numpy())
    # The other outputs are no copies of it.
    assert np.abs(block.conv1.conv(x)[:, 4:].numpy()).mean() > 0.1


def test_first_answers_are_small():
    network = create_model("speedrun_resnet")
    assert np.abs(network(paddle.randn([8, 3, 32, 32])).numpy()).max() < 2


def test_whitening_gives_uncorrelated_components():
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal([200, 3, 10, 10]).astype("float32").cumsum(axis=2)
    network = create_model("speedrun_resnet")
    network.whiten(mixed)
    conv = network.conv1.conv
    components = conv(paddle.to_tensor(mixed))[:, :, 1:-1, 1:-1].numpy()
    positive, negative = components[:, :16], components[:, 16:]
    np.testing.assert_allclose(positive, -negative, rtol=1e-3, atol=1e-4)
    covariance = np.cov(positive.transpose(1, 0, 2, 3).reshape(16, -1))
    variances = np.diag(covariance)
    assert (np.diff(variances) < 1e-3 * variances[0]).all()  # the strongest come first
    correlation = covariance / np.sqrt(np.outer(variances, variances))
    assert np.abs(correlation - np.eye(16)).max() < 0.01


def test_a_recipe_whitens_by_its_own_images_and_trains_the_rest():
    config = load_config("speedrun_cifar10", ["data.root=sample", "train.batch_size=32"])
    parts = load_splits(config, lambda line: None)
    network, _ = build_model(config, parts)
    whiten(network, parts)
    filters = network.conv1.conv.weight.numpy().reshape(32, 27)
    np.testing.assert_allclose(filters[:16] @ filters[:16].T, np.eye(16), atol=1e-5)
    # The strongest component of a natural patch is its brightness: one sign in all taps.
    assert np.abs(np.sign(filters[0]).sum()) == 27
    make_optimizer(config.optimizer, network)
    rates = {
        name: 0 if p.stop_gradient else p.optimize_attr["learning_rate"]
        for name, p in network.named_parameters()
    }
    assert rates["conv1.weight"] == rates["bn1.weight"] == rates["bn1.bias"] == 0
    assert rates["layer1.bn1.weight"] == rates["layer3.bn2.weight"] == 0
    assert rates["layer2.bn1.bias"] == rates["layer3.bn2.bias"] == 100
    assert rates["layer1.conv1.weight"] == 1
    assert rates["fc.weight"] == rates["fc.bias"] == 0.03


def test_what_is_thawed_is_not_the_first_layer():
    network = create_model("speedrun_resnet")
    network.freeze_backbone()
    network.unfreeze_backbone()
    still = {name for name, p in network.named_parameters() if p.stop_gradient}
    assert {"conv1.weight", "bn1.weight", "bn1.bias"} <= still
    assert "layer1.conv1.weight" not in still


def test_images_that_the_network_cannot_take_are_a_sentence():
    overrides = ["data.root=sample", "train.batch_size=32", "model.options={in_channels: 1}"]
    config = load_config("speedrun_cifar10", overrides)
    with pytest.raises(ConfigError, match="cannot take images of"):
        build_model(config, load_splits(config, lambda line: None))


def test_more_filters_than_components_stay_random():
    network = create_model("speedrun_resnet", in_channels=1)
    before = network.conv1.conv.weight.numpy()
    network.whiten(np.random.default_rng(0).standard_normal([50, 1, 8, 8]).astype("float32"))
    after = network.conv1.conv.weight.numpy()
    assert (after[:18] != before[:18]).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(after[18:], before[18:])
