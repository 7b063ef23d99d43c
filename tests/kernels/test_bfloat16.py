"""Units with bfloat16 maps, beside plain Paddle in float32 on the same numbers.

How far they may be apart: bfloat16 has 8 bits (7 and the leading one), so that rounding a map
changes each number by up to u = 2^-8 of itself, and the map by up to u of its norm. On its way a
number is rounded a few times, which is the bound, in u, of the whole array's error in the 2-norm:

- y: the weights, the convolution, y itself: 3;
- x's gradient: weights and convolution, the convolution's gradient, the gradient itself: 4;
- the weights' gradient: weights and convolution, the convolution's gradient, and no more since it
  is float32: 3; gamma's: weights and convolution: 2;
- beta's and the residual's: no number of theirs is rounded: 2^-20;
- mean and variance, as parts of the deviation and of the variance: weights and convolution: 2.

A ReLU passes gradients or not, and rounding can carry a number over zero: the reference passes
those that the unit has passed.
"""

import copy
import os

import numpy as np
import paddle
import pytest
from paddle import nn
from test_conv_bn_act import CONVOLUTIONS, output_shape
from test_conv_bn_act import make as make_float32
from test_registry import distinct

from paddle_resnet import ConvBNLayer, kernels
from paddle_resnet.kernels import conv_bn_act as fused
from paddle_resnet.kernels.activations import branch, cast
from paddle_resnet.layers.pooling import MaxPool2D

U = 2.0**-8
BOUNDS = {"y": 3, "x": 4, "weight": 3, "gamma": 2, "mean": 2, "variance": 2}
EXACT = 2.0**-20

#: (batch, channels in, out, height, width)
SHAPES = [(2, 16, 32, 8, 8), (3, 24, 40, 9, 7), (1, 8, 16, 9, 11)]


def make(convolution, shape, act=None):
    unit = make_float32(convolution, shape, act)
    unit.bn._mean.set_value(0.1 * unit.bn._mean)
    return unit


def rounded(array):
    """Return float32 numbers that bfloat16 has."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return bits.astype(np.uint32).view(np.float32)


def draw(unit, shape, residual):
    """Return x, residual and y's gradient."""
    batch, channels, _, height, width = shape
    rng = np.random.default_rng(0)
    x = rounded(rng.standard_normal([batch, channels, height, width]))
    if unit.pool is not None:  # sums that bfloat16 has, or rounding would decide which one wins
        x = rng.integers(-1, 2, x.shape).astype("float32")
        weight = rng.integers(-1, 2, unit.conv.weight.shape).astype("float32")
        unit.conv.weight.set_value(weight)
    out = output_shape(unit, x)
    extra = rounded(rng.standard_normal(out)) if residual else None
    return x, extra, rounded(rng.standard_normal(out))


def tensors(*arrays):
    return [None if a is None else paddle.to_tensor(a, stop_gradient=False) for a in arrays]


def collect(unit, y, x, residual):
    found = {
        "y": y,
        "x": x.grad,
        "weight": unit.conv.weight.grad,
        "gamma": unit.bn.weight.grad,
        "beta": unit.bn.bias.grad,
        "mean": unit.bn._mean,
        "variance": unit.bn._variance,
    }
    if residual is not None:
        found["residual"] = residual.grad
    return {name: tensor.numpy().copy() for name, tensor in found.items()}


def run(unit, given, residual, gradient, mode="require"):
    """Return what the unit computes of bfloat16 maps, as float32."""
    unit = copy.deepcopy(unit)
    x, extra = tensors(given, residual)
    before = fused.bfloat16_calls
    with kernels.use(mode):
        half = None if extra is None else cast(extra, "bfloat16")
        y = unit(cast(x, "bfloat16"), half)
        assert y.dtype == paddle.bfloat16
        y = cast(y, "float32")
        (y * paddle.to_tensor(gradient)).sum().backward()
    assert fused.bfloat16_calls == before + (mode == "require"), fused.fallback_counts
    return collect(unit, y, x, extra)


def reference(unit, given, residual, gradient, passed, mode="off"):
    unit = copy.deepcopy(unit)
    x, extra = tensors(given, residual)
    act, unit.act = unit.act, None
    with kernels.use(mode):
        y = unit(x, extra)
        (y * paddle.to_tensor(gradient * passed)).sum().backward()
    found = collect(unit, y, x, extra)
    if act:
        found["y"] = np.maximum(found["y"], 0)
    return found


def errors(ours, plain, before):
    """Return each array's error in u."""
    found = {}
    for name, expected in plain.items():
        size = np.linalg.norm(expected)
        if name == "mean":  # of a map about zero it is no measure of itself
            size = np.linalg.norm(np.sqrt(plain["variance"]))
        if name in ("mean", "variance") and np.array_equal(expected, before[name]):
            assert np.array_equal(ours[name], expected), name
            continue
        found[name] = np.linalg.norm(ours[name] - expected) / (size + 1e-30) / U
    return found


def check(unit, shape, residual, given=None, mode="off"):
    given = draw(unit, shape, residual) if given is None else given
    ours = run(unit, *given)
    passed = ours["y"] > 0 if unit.act else np.ones_like(ours["y"])
    before = {"mean": unit.bn._mean.numpy(), "variance": unit.bn._variance.numpy()}
    for name, error in errors(ours, reference(unit, *given, passed, mode), before).items():
        assert error <= BOUNDS.get(name, EXACT / U), f"{name}: {error:.3f} u"
    return ours


@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("act", "residual"), [("relu", False), ("relu", True), (None, False)])
@pytest.mark.parametrize("training", [True, False])
def test_agrees_with_float32(convolution, shape, act, residual, training):
    unit = make(convolution, shape, act)
    unit.train() if training else unit.eval()
    check(unit, shape, residual)


def check_kind(key, residual):
    """Check a unit of a network of the registry; see test_registry.py for the key."""
    size, stride, groups, dilation, padding, act, ins, outs, bias, norm, max_pool = key
    paddle.seed(0)
    options = {"dilation": dilation, "padding": padding, "bias": bias, "max_pool": max_pool}
    if not norm:
        options["norm_layer"] = None
    unit = ConvBNLayer(ins, outs, size, stride, groups, act, **options)
    shape = (2, ins, outs, 9, 7)
    if unit.supports_bfloat16:
        check(unit, shape, residual)
        return
    # Left to plain Paddle, in float32: nothing is rounded but the output and the gradient.
    x, extra, gradient = draw(unit, shape, residual)
    found = []
    for dtype in ("float32", "bfloat16"):
        given = tensors(x, extra)
        with kernels.use("require"):
            maps = [cast(tensor, dtype) for tensor in given if tensor is not None]
            y = cast(copy.deepcopy(unit)(*maps), "float32")
            (y * paddle.to_tensor(gradient)).sum().backward()
        found.append((y.numpy(), given[0].grad.numpy()))
    for plain, half in zip(*found):
        assert np.linalg.norm(half - plain) <= U * np.linalg.norm(plain), key


@pytest.mark.parametrize("residual", [False, True])
def test_each_kind_of_unit_of_the_registry(residual):
    for key in distinct(channels=False):
        check_kind(key, residual)


@pytest.mark.slow  # minutes: every width of every network
@pytest.mark.parametrize("residual", [False, True])
def test_each_unit_of_the_registry_with_its_channels(residual):
    for key in distinct(channels=True):
        check_kind(key, residual)


@pytest.mark.parametrize("shape", [(2, 512, 520, 5, 4), (8, 64, 64, 16, 16), (4, 96, 3, 8, 8)])
@pytest.mark.parametrize("convolution", [c for c in CONVOLUTIONS if c[2] == 1], ids=str)
def test_more_channels_and_maps_agree_and_repeats_are_bit_identical(convolution, shape):
    unit = make(convolution, shape, "relu")
    ours = check(unit, shape, True)
    for name, again in run(unit, *draw(unit, shape, True)).items():
        np.testing.assert_array_equal(again, ours[name])


@pytest.mark.parametrize(
    ("convolution", "shape"),
    [
        ((1, 1, 1, 1, None), (2, 512, 256, 5, 4)),
        ((1, 2, 1, 1, None), (3, 256, 512, 9, 7)),
        ((1, 1, 1, 1, 1), (1, 260, 256, 7, 9)),
        ((3, 1, 1, 1, None), (2, 256, 264, 8, 8)),
        ((3, 2, 1, 1, None), (2, 256, 256, 9, 7)),
        ((3, 1, 1, 2, None), (1, 300, 264, 8, 8)),
    ],
)
def test_weight_gradients_as_matrix_products_agree(convolution, shape):
    unit = make(convolution, shape, "relu")
    given = draw(unit, shape, False)
    ours = check(unit, shape, False)
    for name, again in run(unit, *given).items():
        np.testing.assert_array_equal(again, ours[name])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_without_gradients_the_output_agrees(training, residual):
    unit = make(CONVOLUTIONS[2], SHAPES[1], "relu")
    unit.train() if training else unit.eval()
    x, extra, _ = draw(unit, SHAPES[1], residual)
    found = []
    for mode, dtype in (("off", "float32"), ("require", "bfloat16")):
        maps = [cast(t, dtype) for t in tensors(x, extra) if t is not None]
        with kernels.use(mode), paddle.no_grad():
            found.append(copy.deepcopy(unit)(*maps).astype("float32").numpy())
    assert np.linalg.norm(found[1] - found[0]) < BOUNDS["y"] * U * np.linalg.norm(found[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("training", [True, False])
def test_nan_and_infinity_pass_through(value, training):
    unit = make(CONVOLUTIONS[0], SHAPES[0], "relu")
    unit.train() if training else unit.eval()
    x, _, _ = draw(unit, SHAPES[0], False)
    x[0, 3, 2, 2] = value
    with paddle.no_grad(), kernels.use("off"):
        plain = copy.deepcopy(unit)(paddle.to_tensor(x)).numpy()
    with paddle.no_grad(), kernels.use("require"):
        ours = copy.deepcopy(unit)(cast(paddle.to_tensor(x), "bfloat16"))
        ours = cast(ours, "float32").numpy()
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(plain))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(plain))


def test_frozen_weights_and_inputs_get_no_gradient():
    unit = make(CONVOLUTIONS[2], SHAPES[0], "relu")
    x, _, gradient = draw(unit, SHAPES[0], False)
    full = run(unit, x, None, gradient)
    unit.conv.weight.stop_gradient = True
    with kernels.use("require"):
        y = unit(cast(paddle.to_tensor(x), "bfloat16"))
        (cast(y, "float32") * paddle.to_tensor(gradient)).sum().backward()
    assert unit.conv.weight.grad is None
    np.testing.assert_array_equal(unit.bn.bias.grad.numpy(), full["beta"])
    np.testing.assert_array_equal(unit.bn.weight.grad.numpy(), full["gamma"])


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("require", {"act": "leaky_relu"}),
        ("require", {"bias": True}),
        ("require", {"norm_layer": None}),
        ("require", {"norm_layer": nn.InstanceNorm2D}),
        ("off", {"act": "relu"}),
    ],
    ids=str,
)
def test_what_the_operator_does_not_compute_is_computed_in_float32(mode, options):
    paddle.seed(0)
    unit = ConvBNLayer(4, 8, 3, **options)
    rng = np.random.default_rng(0)
    x, gradient = rounded(rng.standard_normal([2, 4, 6, 6])), rng.standard_normal([2, 8, 6, 6])
    gradient = rounded(gradient)
    extra = rounded(rng.standard_normal([2, 8, 6, 6]))
    found = []
    fused.fallback_counts.clear()
    for dtype in ("float32", "bfloat16"):
        given, residual = tensors(x, extra)
        with kernels.use(mode):
            y = unit(cast(given, dtype), cast(residual, dtype))
            assert y.dtype == getattr(paddle, dtype)
            y = cast(y, "float32")
            (y * paddle.to_tensor(gradient)).sum().backward()
        found.append({"y": y.numpy(), "x": given.grad.numpy(), "r": residual.grad.numpy()})
    assert sum(fused.fallback_counts.values()) == (2 if mode == "require" else 0)
    for name, plain in found[0].items():
        # Paddle's own conversion, where the operator is off, may cut digits off: twice as far.
        limit = U if mode == "require" else 2 * U
        assert np.linalg.norm(found[1][name] - plain) < limit * np.linalg.norm(plain), name


def test_conversion_rounds_to_the_nearest_and_comes_back_as_it_was():
    rng = np.random.default_rng(0)
    numbers = np.concatenate(
        [
            rng.standard_normal(1000).astype("float32") * 10.0 ** rng.integers(-30, 30, 1000),
            [0.0, -0.0, np.inf, -np.inf, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 3.4e38, 1e-30],
        ]
    ).astype("float32")
    with kernels.use("require"):
        back = cast(cast(paddle.to_tensor(numbers), "bfloat16"), "float32").numpy()
        np.testing.assert_array_equal(back, rounded(numbers))
        # NaNs of all kinds, also those whose only bits are the lower ones.
        nans = np.array([0x7FC00000, 0x7F800001, 0xFFFFFFFF] * 11, np.uint32).view(np.float32)
        halves = cast(paddle.to_tensor(nans), "bfloat16")
        assert np.isnan(cast(halves, "float32").numpy()).all()


@pytest.mark.parametrize("size", [1, 7, 129])
def test_conversion_keeps_the_layout_in_memory(size):
    rng = np.random.default_rng(0)
    x = paddle.to_tensor(rounded(rng.standard_normal([2, size, 5, 3])), stop_gradient=False)
    with kernels.use("require"):
        view = (x * 1.0).transpose([0, 3, 1, 2])
        y = cast(view, "bfloat16")
        assert y.shape == view.shape
        assert y.is_contiguous() == view.is_contiguous()
        (cast(y, "float32") * 3.0).sum().backward()
    np.testing.assert_array_equal(cast(y, "float32").numpy(), view.numpy())
    np.testing.assert_array_equal(x.grad.numpy(), 3.0)


@pytest.mark.parametrize("readers", [1, 2])
def test_a_fork_adds_up_what_its_readers_give_back(readers):
    rng = np.random.default_rng(0)
    numbers = rounded(rng.standard_normal([2, 3, 5, 7]))
    factors = [rounded(rng.standard_normal(numbers.shape)) for _ in range(readers)]
    (x,) = tensors(numbers)
    with kernels.use("require"):
        branches = [cast(each, "float32") for each in branch(cast(x, "bfloat16"))]
        loss = sum((b * paddle.to_tensor(f)).sum() for b, f in zip(branches, factors))
        loss.backward()
    for each in branches:
        np.testing.assert_array_equal(each.numpy(), numbers)
    np.testing.assert_array_equal(x.grad.numpy(), rounded(sum(factors)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
        {"kernel_size": 3, "stride": 2, "padding": "SAME"},  # plain Paddle's, in float32
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(2, 32, 8, 8), (3, 19, 9, 7)])
def test_max_pooling_picks_the_same_and_rounds_only_sums_of_gradients(arguments, shape):
    rng = np.random.default_rng(0)
    x, layer = rounded(rng.standard_normal(shape)), MaxPool2D(**arguments)
    weights = rounded(rng.standard_normal(layer(paddle.to_tensor(x)).shape))
    found = []
    for mode, dtype in (("off", "float32"), ("require", "bfloat16")):
        (given,) = tensors(x)
        with kernels.use(mode):
            y = layer(cast(given, dtype))
            assert y.dtype == getattr(paddle, dtype)
            y = cast(y, "float32")
            (y * paddle.to_tensor(weights)).sum().backward()
        found.append((y.numpy(), given.grad.numpy()))
    np.testing.assert_array_equal(found[1][0], found[0][0])
    # A pixel wins in four windows at most: its gradient is rounded three times at most.
    assert np.linalg.norm(found[1][1] - found[0][1]) <= 3 * U * np.linalg.norm(found[0][1])


@pytest.mark.slow
def test_nothing_leaks_over_ten_thousand_steps():
    unit, pool = make(CONVOLUTIONS[2], (2, 16, 16, 8, 8), "relu"), MaxPool2D(3, 1, 1)
    x = paddle.to_tensor(np.ones([2, 16, 8, 8], "float32"), stop_gradient=False)

    def steps(count):
        for _ in range(count):
            first, second = branch(cast(x, "bfloat16"))
            cast(pool(unit(unit(first), second)), "float32").sum().backward()
            unit.clear_gradients()
            x.clear_gradient()

    with kernels.use("require"):
        steps(500)  # caches and pools reach their sizes
        before = resident()
        steps(10_000)
    assert resident() - before < 2**20


def resident():
    """Return the process's resident memory in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
