"""One step of each optimizer against its closed form, parameter by parameter."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet.config import OptimizerConfig, config_from_dict
from paddle_resnet.errors import ConfigError
from paddle_resnet.optim.muon import orthogonal
from paddle_resnet.optim.optimizers import make_optimizer


def one_step(network, config):
    """Return weights before, gradients, and weights after a step."""
    optimizer = make_optimizer(config, network)
    loss = (network(paddle.randn([8, 3, 32, 32])) ** 2).mean()
    loss.backward()
    trainable = {n: p for n, p in network.named_parameters() if not p.stop_gradient}
    before = {n: p.numpy().copy() for n, p in trainable.items()}
    gradients = {n: p.grad.numpy().copy() for n, p in trainable.items()}
    optimizer.step()
    return before, gradients, {n: p.numpy() for n, p in trainable.items()}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("everywhere", [False, True])
def test_momentum(tiny, nesterov, everywhere):
    config = OptimizerConfig(
        lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.3, decay_norm_and_bias=everywhere
    )
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        decay = 0.3 if everywhere or weight.ndim > 1 else 0.0
        velocity = gradients[name] + decay * weight  # the first step: no older velocity
        step = velocity * (1 + 0.9) if nesterov else velocity
        np.testing.assert_allclose(after[name], weight - 0.1 * step, rtol=1e-4, atol=1e-6)


def test_adamw(tiny):
    config = OptimizerConfig(name="adamw", lr=0.01, weight_decay=0.3)
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        gradient = gradients[name]
        decay = 0.3 if weight.ndim > 1 else 0.0
        # The first step's corrected moments are the gradient and its square.
        expected = weight * (1 - 0.01 * decay) - 0.01 * gradient / (np.abs(gradient) + 1e-8)
        large = np.abs(gradient) > 1e-4  # below, epsilon is placed in more than one way
        np.testing.assert_allclose(after[name][large], expected[large], rtol=1e-3, atol=1e-5)


def test_no_decay_at_all(tiny):
    config = OptimizerConfig(lr=0.1, nesterov=False, weight_decay=0)
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], weight - 0.1 * gradients[name], atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_sgd(tiny, decay):
    config = OptimizerConfig(name="sgd", lr=0.1, weight_decay=decay)
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        gradient = gradients[name] + (decay * weight if weight.ndim > 1 else 0.0)
        np.testing.assert_allclose(after[name], weight - 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_adam_adds_the_decay_to_the_gradient(tiny):
    config = OptimizerConfig(name="adam", lr=0.01, weight_decay=0.3)
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        gradient = gradients[name] + (0.3 * weight if weight.ndim > 1 else 0.0)
        expected = weight - 0.01 * gradient / (np.abs(gradient) + 1e-8)
        large = np.abs(gradient) > 1e-4
        np.testing.assert_allclose(after[name][large], expected[large], rtol=1e-3, atol=1e-5)


def test_lars(tiny):
    """You et al. 2017, equation (6); excluded parameters take plain momentum steps."""
    config = OptimizerConfig(
        name="lars", lr=2.0, momentum=0.9, weight_decay=0.3, trust_coefficient=0.01
    )
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        gradient, decay, rate = gradients[name], 0.0, 2.0
        if weight.ndim > 1:
            decay = 0.3
            norm = np.linalg.norm(weight)
            rate *= 0.01 * norm / (np.linalg.norm(gradient) + decay * norm)
        expected = weight - rate * (gradient + decay * weight)
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-6)


def test_lamb(tiny):
    """You et al. 2019, algorithm 2."""
    config = OptimizerConfig(name="lamb", lr=0.01, weight_decay=0.3)
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        gradient = gradients[name]
        step = gradient / (np.abs(gradient) + 1e-6)
        trust = 1.0
        if weight.ndim > 1:
            step = step + 0.3 * weight
            trust = np.linalg.norm(weight) / np.linalg.norm(step)
        expected = weight - 0.01 * trust * step
        np.testing.assert_allclose(after[name], expected, rtol=1e-3, atol=1e-5)


def test_muon(tiny):
    """Jordan et al. 2024: each singular value of a convolution's step goes through a polynomial."""
    config = OptimizerConfig(name="muon", lr=0.2, momentum=0.6, nesterov=True, weight_decay=0.3)
    before, gradients, after = one_step(tiny, config)
    for name, weight in before.items():
        step = 1.6 * gradients[name]
        if weight.ndim == 4:
            u, s, v = np.linalg.svd(step.reshape(len(step), -1), full_matrices=False)
            s = s / np.linalg.norm(s)
            for _ in range(3):
                s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
            step = (u * s @ v).reshape(weight.shape)
            weight = weight * np.sqrt(len(s)) / np.linalg.norm(weight)
        elif weight.ndim > 1:
            step = 1.6 * (gradients[name] + 0.3 * weight)
        np.testing.assert_allclose(after[name], weight - 0.2 * step, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_adds_the_steps_before(tiny, nesterov):
    config = OptimizerConfig(name="muon", lr=0.2, momentum=0.6, nesterov=nesterov)
    optimizer = make_optimizer(config, tiny)
    weight = tiny.conv1.conv.weight
    velocity = np.zeros(weight.shape)
    for _ in range(3):
        (tiny(paddle.randn([8, 3, 32, 32])) ** 2).mean().backward()
        before, gradient = weight.numpy().astype(np.float64), weight.grad.numpy()
        optimizer.step()
        optimizer.clear_grad()
        velocity = 0.6 * velocity + gradient
        step = gradient + 0.6 * velocity if nesterov else velocity
        u, s, v = np.linalg.svd(step.reshape(len(step), -1), full_matrices=False)
        s = s / np.linalg.norm(s)
        for _ in range(3):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        expected = before * np.sqrt(len(s)) / np.linalg.norm(before)
        expected -= 0.2 * (u * s @ v).reshape(before.shape)
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (5, 5)])
def test_orthogonal_steps(shape):
    paddle.seed(0)
    matrix = paddle.randn(shape)
    found = orthogonal(matrix, 5).numpy()
    u, _, v = np.linalg.svd(matrix.numpy(), full_matrices=False)
    turned = u.T @ found @ v.T  # diagonal: the directions are those of the matrix
    assert np.abs(turned - np.diag(np.diag(turned))).max() < 1e-4
    assert (np.diag(turned) > 0.3).all()
    assert (np.diag(turned) < 1.3).all()
    assert not orthogonal(paddle.zeros(shape), 3).numpy().any()


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw", "lars", "lamb"])
def test_a_rate_of_0_holds_a_part_and_the_others_move(tiny, name):
    before, _, after = one_step(tiny, OptimizerConfig(name=name, lr_multipliers={"layer1": 0.0}))
    for key, weight in before.items():
        assert np.array_equal(weight, after[key]) == key.startswith("layer1.")


def test_rates_multiply_and_the_longest_name_counts(tiny):
    rates = {"layer1": 0.5, "layer1.0.conv1": 0.25, "layer": 7.0}
    with pytest.raises(ConfigError, match=r"names 'layer', .* Did you mean 'layer[12]'"):
        make_optimizer(OptimizerConfig(lr_multipliers=rates), tiny)
    del rates["layer"]
    config = OptimizerConfig(
        name="sgd", lr=0.1, weight_decay=0, layer_decay=0.5, lr_multipliers=rates
    )
    before, gradients, after = one_step(tiny, config)
    depth = {"conv1": 8, "bn1": 8, "layer1": 4, "layer2": 2, "fc": 1}
    for name, weight in before.items():
        rate = 0.1 / depth[name.split(".")[0]]
        if name.startswith("layer1."):
            rate *= 0.25 if name.startswith("layer1.0.conv1.") else 0.5
        np.testing.assert_allclose(after[name], weight - rate * gradients[name], atol=1e-6)


def test_rates_of_names_that_end_alike(tiny):
    config = OptimizerConfig(lr_multipliers={".bias": 64.0, "fc": 0.5, "fc.bias": 0.25})
    make_optimizer(config, tiny)
    found = {n: p.optimize_attr["learning_rate"] for n, p in tiny.named_parameters()}
    assert found["bn1.bias"] == found["layer1.0.bn2.bias"] == 64
    assert (found["fc.weight"], found["fc.bias"], found["conv1.weight"]) == (0.5, 0.25, 1)
    with pytest.raises(ConfigError, match=r"names '\.bia'"):
        make_optimizer(OptimizerConfig(lr_multipliers={".bia": 2.0}), tiny)


def test_a_network_without_depth_refuses_layer_decay():
    network = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="layer_decay"):
        make_optimizer(OptimizerConfig(layer_decay=0.5), network)
    make_optimizer(OptimizerConfig(), network)


def test_the_norm_of_all_gradients_is_clipped_as_one(tiny):
    plain = OptimizerConfig(name="sgd", lr=1.0, weight_decay=0)
    before, gradients, _ = one_step(tiny, plain)
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
    # Weights with and without decay are not clipped apart from each other.
    config = OptimizerConfig(name="sgd", lr=1.0, weight_decay=1e-8, clip_norm=norm / 4)
    tiny.clear_gradients()
    paddle.seed(0)
    before, gradients, after = one_step(tiny, config)
    norm_now = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
    factor = min(1, norm / 4 / norm_now)
    assert factor < 1
    for name, weight in before.items():
        np.testing.assert_allclose(after[name], weight - factor * gradients[name], atol=1e-6)


def test_values_are_clipped(tiny):
    config = OptimizerConfig(name="sgd", lr=1.0, weight_decay=0, clip_value=1e-3)
    before, gradients, after = one_step(tiny, config)
    assert max(np.abs(g).max() for g in gradients.values()) > 2e-3
    for name, weight in before.items():
        step = np.clip(gradients[name], -1e-3, 1e-3)
        np.testing.assert_allclose(after[name], weight - step, atol=1e-6)


def test_only_one_way_of_clipping():
    with pytest.raises(ConfigError, match="exclude each other"):
        config_from_dict({"optimizer": {"clip_norm": 1.0, "clip_value": 1.0}})
