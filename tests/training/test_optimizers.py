"""One step of each optimizer against its closed form, group by group."""

import numpy as np
import paddle
import pytest

from paddle_resnet.config import OptimizerConfig
from paddle_resnet.training.optimizers import make_optimizer


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
