"""The average of weights against its closed form, and in training."""

import json

import numpy as np
import paddle
import pytest
from paddle import nn
from small_training import small_state

from paddle_resnet.errors import WeightsError
from paddle_resnet.optim.ema import ExponentialMovingAverage
from paddle_resnet.training import ImageClassifier
from paddle_resnet.training.loop.training_loop import train


def walk(network, average, steps=30):
    """Move the weights at random; return each position, the first included."""
    noise = np.random.default_rng(0)
    positions = [state(network)]
    for _ in range(steps):
        for tensor in network.state_dict().values():
            tensor.set_value(noise.normal(size=tensor.shape).astype(np.float32))
        average.update()
        positions.append(state(network))
    return positions


def state(network):
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("warmup", [False, True])
def test_closed_form(tiny, warmup):
    average = ExponentialMovingAverage(tiny, 0.9, warmup)
    positions = walk(tiny, average)
    expected = {name: value.astype(np.float64) for name, value in positions[0].items()}
    for n, weights in enumerate(positions[1:], start=1):
        decay = min(0.9, (1 + n) / (10 + n)) if warmup else 0.9
        for name in expected:
            expected[name] = decay * expected[name] + (1 - decay) * weights[name]
    with average.average_parameters():
        inside = state(tiny)
    for name, value in inside.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)
        assert np.array_equal(tiny.state_dict()[name].numpy(), positions[-1][name])


def test_running_statistics_are_averaged_too(tiny):
    average = ExponentialMovingAverage(tiny, 0.5, warmup=False)
    running = tiny.state_dict()["bn1._mean"]
    running.set_value(paddle.full([8], 4.0))
    average.update()
    with average.average_parameters():
        np.testing.assert_allclose(running.numpy(), 2.0)
    np.testing.assert_allclose(running.numpy(), 4.0)


def test_weights_come_back_after_an_error(tiny):
    average = ExponentialMovingAverage(tiny, 0.5)
    walk(tiny, average, 3)
    before = state(tiny)
    with pytest.raises(KeyboardInterrupt), average.average_parameters():
        raise KeyboardInterrupt
    assert all(np.array_equal(before[name], value) for name, value in state(tiny).items())
    average.copy_to()
    assert not any(np.array_equal(before[name], value) for name, value in state(tiny).items())


def test_goes_on_to_the_bit_in_another_process(tiny):
    whole, half = ExponentialMovingAverage(tiny, 0.9), ExponentialMovingAverage(tiny, 0.9)
    walk(tiny, whole)
    start = state(tiny)
    walk(tiny, half)
    kept = half.state_dict()
    assert json.loads(json.dumps(kept["updates"])) == 30
    resumed = ExponentialMovingAverage(tiny, 0.9)
    resumed.load_state_dict(kept)
    for name, tensor in tiny.state_dict().items():
        tensor.set_value(start[name])
    for average in (half, resumed):
        walk(tiny, average)
    after, again = half.state_dict(), resumed.state_dict()
    assert after["updates"] == again["updates"] == 60
    for name, value in after["average"].items():
        np.testing.assert_array_equal(value, again["average"][name])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_average_follows_the_float32_weights_of_an_optimizer_in_half_precision(dtype):
    """Steps of a ten-thousandth are below the rounding of bfloat16: there they are lost."""
    network = nn.Linear(4, 4)
    network.to(dtype=dtype)
    masters = {p.name: p.astype("float32").clone() for p in network.parameters()}
    average = ExponentialMovingAverage(network, 0.5, warmup=False)
    expected = {name: value.copy() for name, value in average.state_dict()["average"].items()}
    for _ in range(50):
        for name, parameter in network.named_parameters():
            master = masters[parameter.name]
            master.set_value(master * 1.0001)
            parameter.set_value(master.astype(dtype))
            expected[name] += 0.5 * (master.numpy() - expected[name])
        average.update(masters if dtype != "float32" else None)
    for name, value in average.state_dict()["average"].items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)


def test_the_loop_hands_the_float32_weights_to_the_average(batches):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    optimizer = paddle.optimizer.SGD(0.01, parameters=network.parameters())
    masters = {p.name: paddle.full_like(p, 3.0) for p in network.parameters()}
    optimizer._master_weights = masters
    average = ExponentialMovingAverage(network, 0.5, warmup=False)
    before = average.state_dict()["average"]["1.bias"]
    train(small_state(network, optimizer, batches[:1], ema=average))
    after = average.state_dict()["average"]["1.bias"]
    np.testing.assert_allclose(after, before + 0.5 * (3.0 - before), rtol=1e-6)


def test_another_network_is_refused(tiny):
    with pytest.raises(WeightsError, match="another network"):
        ExponentialMovingAverage(nn.Linear(2, 2), 0.9).load_state_dict(
            ExponentialMovingAverage(tiny, 0.9).state_dict()
        )


def test_fit_follows_and_evaluates_the_average(tiny, batches):
    model = ImageClassifier(tiny)
    model.prepare(
        paddle.optimizer.Momentum(0.1, parameters=tiny.parameters()), nn.CrossEntropyLoss()
    )
    average = ExponentialMovingAverage(tiny, 0.9)
    history = model.fit(
        batches, batches, epochs=2, verbose=0, average=average, accumulate_grad_batches=2
    )
    assert average.updates == 4  # one per update, not per batch
    own = model.evaluate(batches, verbose=0)["loss"][0]
    with average.average_parameters():
        averaged = model.evaluate(batches, verbose=0)["loss"][0]
    assert history["val_loss"][-1] == pytest.approx(averaged, rel=1e-6)
    assert abs(own - averaged) > 1e-4
