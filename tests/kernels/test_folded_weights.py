"""Inference folds BN into weights that it keeps, and notices each way of changing them."""

import ctypes

import numpy as np
import paddle
import pytest
import test_bfloat16
from test_conv_bn_act import CONVOLUTIONS, inputs, make

from paddle_resnet import kernels
from paddle_resnet.kernels.activations import cast
from paddle_resnet.kernels.algorithm_choice import forced

SHAPE = (2, 16, 32, 8, 8)


def infer(unit, x, mode="require", dtype="float32"):
    unit.eval()
    with paddle.no_grad(), kernels.use(mode):
        return cast(unit(cast(paddle.to_tensor(x), dtype)), "float32").numpy()


def new_weights(unit):
    return np.random.default_rng(5).standard_normal(unit.conv.weight.shape, dtype="float32")


def optimizer_step(unit):
    optimizer = paddle.optimizer.Momentum(0.5, parameters=unit.parameters())
    unit.eval()
    unit(paddle.ones([2, 16, 8, 8])).sum().backward()
    optimizer.step()
    unit.clear_gradients()


def set_state_dict(unit):
    unit.set_state_dict({name: value.numpy() * 1.5 for name, value in unit.state_dict().items()})


def set_one_element(unit):
    weight = unit.conv.weight.numpy()
    weight[1, 1, 0, 0] += 8
    unit.conv.weight.set_value(weight)


def raw_memory(unit):
    unit.conv.weight.get_tensor().set(new_weights(unit), paddle.CPUPlace())


CHANGES = {
    "optimizer": optimizer_step,
    "set_state_dict": set_state_dict,
    "set_value": lambda unit: unit.conv.weight.set_value(new_weights(unit)),
    "one element": set_one_element,
    "in place": lambda unit: unit.conv.weight.scale_(-1.0),
    "raw memory": raw_memory,
    "gamma": lambda unit: unit.bn.weight.set_value(-2 * unit.bn.weight),
    "beta": lambda unit: unit.bn.bias.set_value(unit.bn.bias + 1),
    "mean": lambda unit: unit.bn._mean.set_value(unit.bn._mean + 1),
    "variance": lambda unit: unit.bn._variance.set_value(unit.bn._variance * 4),
}


@pytest.fixture(autouse=True)
def direct(operator):
    operator.paddle_resnet_prepared_bytes.restype = ctypes.c_int64
    kernels.release()
    with forced(operator, "direct"):
        yield


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "convolution", [CONVOLUTIONS[0], CONVOLUTIONS[2], CONVOLUTIONS[4]], ids=str
)
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_weight_is_noticed(dtype, convolution, change):
    unit = make(convolution, SHAPE, "relu")
    x = test_bfloat16.rounded(inputs(unit, SHAPE, False)[0])
    limit = 1e-5 if dtype == "float32" else test_bfloat16.BOUNDS["y"] * test_bfloat16.U
    found = []
    for act in (lambda unit: None, CHANGES[change]):
        with paddle.no_grad() if change == "in place" else paddle.enable_grad():
            act(unit)
        plain, ours = infer(unit, x, "off"), infer(unit, x, dtype=dtype)
        assert np.linalg.norm(ours - plain) <= limit * np.linalg.norm(plain)
        np.testing.assert_array_equal(infer(unit, x, dtype=dtype), ours)
        found.append(plain)
    assert np.abs(found[0] - found[1]).max() > 1e-2


def test_kept_weights_go_with_training_and_with_release(operator):
    unit = make(CONVOLUTIONS[2], SHAPE, "relu")
    x = inputs(unit, SHAPE, False)[0]
    before = {name: value.numpy() for name, value in unit.state_dict().items()}
    infer(unit, x)
    assert operator.paddle_resnet_prepared_bytes() >= unit.conv.weight.size * 4
    for name, value in unit.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    unit.train()
    with kernels.use("require"):
        unit(paddle.to_tensor(x))
    assert operator.paddle_resnet_prepared_bytes() == 0
    infer(unit, x)
    assert operator.paddle_resnet_prepared_bytes() > 0
    kernels.release()
    assert operator.paddle_resnet_prepared_bytes() == 0


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 70_001])
def test_a_checksum_sees_each_bit_and_the_order(operator, size):
    operator.paddle_resnet_checksum.restype = ctypes.c_uint64
    operator.paddle_resnet_checksum.argtypes = [ctypes.c_void_p, ctypes.c_int64]

    def checksum(array):
        return operator.paddle_resnet_checksum(array.ctypes.data, len(array))

    rng = np.random.default_rng(0)
    array = rng.standard_normal(size, dtype="float32")
    seen = {checksum(array), checksum(-array)}
    expected = 2
    for place in rng.integers(0, size, 20).tolist():
        for bit in (0, 12, 23, 31):
            other = array.copy()
            other.view(np.uint32)[place] ^= np.uint32(1 << bit)
            assert checksum(other) != checksum(array)
    for step in (1, 2, 16, 32, 64):  # two signs, two places changed for each other
        if step < size:
            signs, order = array.copy(), array.copy()
            signs[[0, step]] *= -1
            order[[0, step]] = array[[step, 0]]
            seen |= {checksum(signs), checksum(order)}
            expected += 2
    assert len(seen) == expected
