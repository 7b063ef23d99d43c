"""GELU and SiLU in the operator's last step, beside plain Paddle; their second derivatives too.

In float32 the bounds are those of all layers (docs/cpu.md). With bfloat16 activations rounding
reaches these gradients by a way that a ReLU does not have: through the derivative at
z = bn(conv(x)) + residual. Weights and convolution are rounded, each by up to u = 2^-8, so that z
is off by up to 2 u of the norm of scale * conv(x). With random gradients of the output, independent
of that,

- y is off by max |act'| times that, and by u for its own rounding;
- g = dy * act'(z) is off by max |act''| times that, relative to the norm of act'(z). This comes to
  the bounds of test_bfloat16.py for all gradients, and with a residual g is rounded once more.
"""

import copy
import functools
import gc
import math

import numpy as np
import paddle
import pytest
import test_bfloat16 as bfloat16
from paddle.nn import functional as F
from test_caching_allocator import blocks
from test_conv_bn_act import (
    CONVOLUTIONS,
    SHAPES,
    assert_close,
    inputs,
    inputs_with_clear_winners,
    make,
    pre_activation,
    run,
)

from paddle_resnet import ConvBNLayer, activation_dtype, create_model, kernels
from paddle_resnet.kernels import conv_bn_act as fused
from paddle_resnet.kernels.activations import cast
from paddle_resnet.kernels.algorithm_choice import forced

SMOOTH = ["gelu", "silu"]
#: The largest |act'| and |act''|: of GELU at sqrt(2) and 0, of SiLU near 2.4 and at 0.
STEEPEST = {"gelu": 1.13, "silu": 1.1}
CURVIEST = {"gelu": 2 / math.sqrt(2 * math.pi), "silu": 0.5}
#: By oneDNN, by Winograd's algorithm, as matrix products.
WAYS = ["direct", "winograd", "gemm"]
UNIT, WIDE = (3, 1, 1, 1, None), (2, 32, 48, 10, 8)


def truth(act, x):
    """Return the function, its first two derivatives, and what the first one is a sum of."""
    if act == "gelu":
        below = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
        density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        first = below + x * density
        return x * below, first, density * (2 - x**2), below + np.abs(x * density)
    s = 1 / (1 + np.exp(-x))
    first = s * (1 + x * (1 - s))
    return x * s, first, s * (1 - s) * (2 + x * (1 - 2 * s)), s * (1 + np.abs(x) * (1 - s))


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("count", [16, 13])  # whole registers, and elements one by one
def test_the_functions_at_all_sizes(act, count):
    """Off by 2^-20 of the value, and by what an error of 2^-20 of z comes to."""
    size = 20 if count == 16 else 12
    x = np.linspace(-9, 9, count * size * size).astype("float32").reshape(1, count, size, size)
    unit = ConvBNLayer(count, count, 1, act=act)
    unit.conv.weight.set_value(np.eye(count, dtype="float32").reshape(count, count, 1, 1))
    unit.bn._epsilon = 0.0
    unit.eval()
    given = paddle.to_tensor(x, stop_gradient=False)
    before = fused.fused_calls
    with kernels.use("require"):
        y = unit(given)
        y.sum().backward()
    assert fused.fused_calls == before + 1
    value, first, second, terms = truth(act, x.ravel().astype("float64"))
    unit_of = 2.0**-20
    z = np.abs(x.ravel())
    assert (
        np.abs(y.numpy().ravel() - value) <= unit_of * (np.abs(value) + z * np.abs(first))
    ).all()
    error = np.abs(given.grad.numpy().ravel() - first)
    assert (error <= unit_of * (terms + z * np.abs(second))).all()


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_agrees_with_paddle(act, convolution, shape, residual, training):
    unit = make(convolution, shape, act)
    unit.train() if training else unit.eval()
    x, shortcut = inputs(unit, shape, residual)
    assert_close(run("require", unit, x, shortcut), run("off", unit, x, shortcut))


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(8, 32, 48, 16, 16), (5, 32, 32, 15, 17)])
@pytest.mark.parametrize("way", WAYS[:2])
def test_max_pooling_before_the_norm_agrees(operator, act, residual, training, shape, way):
    unit = make(UNIT, shape, act, max_pool=True)
    unit.train() if training else unit.eval()
    x, shortcut = inputs_with_clear_winners(unit, shape, residual)
    with forced(operator, way):
        ours = run("require", unit, x, shortcut)
    assert_close(ours, run("off", unit, x, shortcut), 3e-5)


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_each_algorithm_agrees_and_repeats_bit_for_bit(operator, act, residual, way):
    unit = make(UNIT, WIDE, act)
    x, shortcut = inputs(unit, WIDE, residual)
    with forced(operator, way):
        ours, again = (run("require", unit, x, shortcut) for _ in range(2))
    assert_close(ours, run("off", unit, x, shortcut), 3e-5)
    for name, expected in ours.items():
        np.testing.assert_array_equal(again[name], expected)


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_inference_with_folded_norm_agrees(operator, act, residual, way, dtype):
    unit = make(UNIT, WIDE, act)
    unit.eval()
    given = [bfloat16.rounded(t) for t in inputs(unit, WIDE, residual) if t is not None]
    found = []
    for mode, of in (("off", "float32"), ("require", dtype)):
        tensors = [cast(paddle.to_tensor(t), of) for t in given]
        with kernels.use(mode), paddle.no_grad(), forced(operator, way):
            found.append(cast(unit(*tensors), "float32").numpy())
    size, error = np.linalg.norm(found[0]), np.linalg.norm(found[1] - found[0])
    if dtype == "float32":
        assert error <= 1e-5 * size
    else:
        assert (
            error
            <= bfloat16_bounds(unit, *given, *[None] * (not residual))["y"] * bfloat16.U * size
        )


def bfloat16_bounds(unit, x, residual):
    """Return the bounds in u of the module's docstring."""
    z = pre_activation(unit, x, residual)
    with paddle.no_grad(), kernels.use("off"):
        conv = unit.conv(paddle.to_tensor(x))
        conv = (conv if unit.pool is None else unit.pool(conv)).numpy()
    variance = conv.var((0, 2, 3)) if unit.training else unit.bn._variance.numpy()
    scale = unit.bn.weight.numpy() / np.sqrt(variance + unit.bn._epsilon)
    of_z = 2 * np.linalg.norm(conv * scale.reshape(1, -1, 1, 1))
    value, first, _, _ = truth(unit.act, z.ravel().astype("float64"))
    of_g = CURVIEST[unit.act] * of_z / np.linalg.norm(first)
    rounded = residual is not None
    return {
        "y": 1 + STEEPEST[unit.act] * of_z / np.linalg.norm(value),
        "beta": of_g,
        "residual": of_g + 1,
        "gamma": bfloat16.BOUNDS["gamma"] + of_g,
        "x": bfloat16.BOUNDS["x"] + of_g + rounded,
        "weight": bfloat16.BOUNDS["weight"] + of_g + rounded,
        "mean": 2,
        "variance": 2,
    }


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_activations_agree_with_float32(act, convolution, residual, training):
    check_bfloat16(
        make(convolution, bfloat16.SHAPES[0], act), bfloat16.SHAPES[0], residual, training
    )


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("way", WAYS[:2])
def test_max_pooled_bfloat16_activations_agree_with_float32(operator, act, residual, training, way):
    # With the operator's own float32: Winograd's algorithm decides between equal sums by rounding,
    # in both dtypes alike.
    shape = (8, 32, 48, 16, 16)
    unit = make(UNIT, shape, act, max_pool=True)
    with forced(operator, way):
        check_bfloat16(unit, shape, residual, training, mode="require")


def check_bfloat16(unit, shape, residual, training, mode="off"):
    unit.bn._mean.set_value(0.1 * unit.bn._mean)
    unit.train() if training else unit.eval()
    given = bfloat16.draw(unit, shape, residual)
    bounds = bfloat16_bounds(unit, *given[:2])
    before = {"mean": unit.bn._mean.numpy(), "variance": unit.bn._variance.numpy()}
    ours = bfloat16.run(unit, *given)
    for name, error in bfloat16.errors(ours, run(mode, unit, *given), before).items():
        assert error <= bounds[name], f"{name}: {error:.3f} u of {bounds[name]:.3f}"
    for name, again in bfloat16.run(unit, *given).items():
        np.testing.assert_array_equal(again, ours[name])


def penalty(unit, given, gradient, dtype, mode):
    """Return the penalty on all gradients, and the tensors that they are of, by name."""
    tensors = dict(zip(("x", "residual"), (paddle.to_tensor(t.astype(dtype)) for t in given)))
    for tensor in tensors.values():
        tensor.stop_gradient = False
    tensors.update({n: p for n, p in unit.named_parameters() if not p.stop_gradient})
    with kernels.use(mode):
        y = unit(*list(tensors.values())[: len(given)])
        score = (y * paddle.to_tensor(gradient.astype(dtype))).sum() + (y**2).sum() / 8
        first = paddle.grad(score, [*tensors.values()], create_graph=mode != "off")
        return sum((each**2).sum() for each in first), tensors


def slope(unit, given, gradient, name, direction):
    """Return the derivative of the penalty along a direction: a difference of two in float64."""
    found, step = [], 1e-6
    for sign in (1, -1):
        moved = copy.deepcopy(unit).to(dtype="float64")
        arrays = [t.astype("float64") for t in given]
        if name in ("x", "residual"):
            arrays[name == "residual"] += sign * step * direction
        else:
            parameter = dict(moved.named_parameters())[name]
            parameter.set_value(parameter.numpy() + sign * step * direction)
        found.append(float(penalty(moved, arrays, gradient, "float64", "off")[0]))
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("kind", ["trained", "frozen statistics", "pooled", "strided"])
def test_second_derivatives_agree_with_differences(act, residual, kind):
    """Plain Paddle has none of GELU; its first derivatives in float64 tell the second ones."""
    shape = (2, 6, 8, 6, 8)
    unit = make(
        (3, 2, 2, 1, None) if kind == "strided" else UNIT, shape, act, max_pool=kind == "pooled"
    )
    if kind == "frozen statistics":
        unit.eval()
    draw = inputs_with_clear_winners if kind == "pooled" else inputs
    given = [t for t in draw(unit, shape, residual) if t is not None]
    rng = np.random.default_rng(4)
    gradient = rng.standard_normal(pre_activation(unit, given[0]).shape, dtype="float32")
    of, tensors = penalty(unit, given, gradient, "float32", "require")
    of.backward()
    for name, tensor in tensors.items():
        assert tensor.grad is not None, name
        ours = tensor.grad.numpy().astype("float64")
        for _ in range(2):
            direction = rng.standard_normal(ours.shape)
            expected = slope(unit, given, gradient, name, direction)
            error = abs((ours * direction).sum() - expected)
            assert error <= 2e-4 * np.linalg.norm(ours), f"{name}: {error:.1e}"


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("max_pool", [False, True])
def test_second_derivatives_of_bfloat16_activations(act, max_pool):
    unit = make(UNIT, (4, 16, 16), act, max_pool=max_pool)
    x, shortcut, gradient = bfloat16.draw(unit, (4, 16, 16, 8, 8), True)
    found = []
    for dtype in ("float32", "bfloat16"):
        unit.clear_gradients()
        given = [paddle.to_tensor(t, stop_gradient=False) for t in (x, shortcut)]
        with kernels.use("require"):
            y = cast(unit(*[cast(t, dtype) for t in given]), "float32")
            score = (y * paddle.to_tensor(gradient)).sum()
            first = paddle.grad(score, [*given, unit.conv.weight], create_graph=True)
            sum((each**2).sum() for each in first).backward()
        tensors = [t.grad for t in (*given, unit.conv.weight, unit.bn.weight, unit.bn.bias)]
        found.append([t.numpy() for t in (*first, *tensors)])
    for plain, half in zip(*found):
        assert np.linalg.norm(half - plain) < 12 * bfloat16.U * np.linalg.norm(plain)


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nan_and_infinity_pass_through(act, value, training, dtype):
    """An infinity may become NaN: oneDNN's GELU does so, and at -inf Paddle's own functions."""
    unit = make(CONVOLUTIONS[0], SHAPES[0], act)
    unit.train() if training else unit.eval()
    x, _ = inputs(unit, SHAPES[0], False)
    x[0, 3, 2, 2] = value
    z = pre_activation(unit, x)
    with paddle.no_grad(), kernels.use("require"):
        ours = cast(copy.deepcopy(unit)(cast(paddle.to_tensor(x), dtype)), "float32").numpy()
    np.testing.assert_array_equal(np.isfinite(ours)[np.isfinite(z)], True)
    np.testing.assert_array_equal(np.isnan(ours)[np.isnan(z)], True)
    assert not np.isfinite(ours)[z == np.inf].any()
    assert (np.isnan(ours) | (np.abs(ours) < 1e-30))[z == -np.inf].all()


@pytest.mark.parametrize("act", SMOOTH)
def test_a_network_has_the_same_gradients_and_with_recompute(act):
    def gradients(mode, recompute=False):
        paddle.seed(5)
        network = create_model("resnet20", widths=(8, 16, 24), layers=(2, 1, 1), act=act)
        network.recompute = recompute
        x = paddle.to_tensor(
            np.random.default_rng(0).standard_normal([4, 3, 12, 12], dtype="float32"),
            stop_gradient=False,
        )
        before = +fused.fallback_counts
        with kernels.use(mode):
            network(x).square().sum().backward()
        assert fused.fallback_counts == before
        found = {n: p.grad.numpy() for n, p in network.named_parameters() if p.grad is not None}
        return {**found, "images": x.grad.numpy()}

    ours = gradients("require")
    assert_close(ours, gradients("off"), 1e-3)
    assert_close(gradients("require", recompute=True), ours, 1e-5)


@pytest.mark.parametrize("act", SMOOTH)
@pytest.mark.parametrize("name", ["resnet18", "speedrun_resnet"])
def test_networks_train_with_bfloat16_activations(act, name):
    paddle.seed(0)
    options = {"stem": "cifar", "widths": (8, 16), "layers": (1, 1)} if name == "resnet18" else {}
    network = create_model(name, num_classes=10, act=act, **options)
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal([8, 3, 32, 32], dtype="float32"))
    before = fused.bfloat16_calls, fused.fused_calls
    optimizer = paddle.optimizer.Adam(0.002, parameters=network.parameters())
    losses = []
    with kernels.use("require"):
        for _ in range(10):
            with activation_dtype("bfloat16"):
                loss = F.cross_entropy(network(x), paddle.arange(8))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            losses.append(float(loss))
    assert fused.bfloat16_calls - before[0] == fused.fused_calls - before[1] > 0
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("act", [None, "relu", *SMOOTH])
def test_what_is_kept_for_the_gradient(operator, act):
    """ReLU keeps no residual: its output, which the next layer keeps anyway, has the mask."""
    shortcut, unit = ConvBNLayer(32, 32, 1), ConvBNLayer(32, 32, 3, act=act)
    x = paddle.randn([4, 32, 64, 64])
    with kernels.use("require"):
        unit(x, shortcut(x)).sum().backward()  # scratch buffers reach their sizes
        gc.collect()
        before = blocks(operator)[1]
        y = unit(x, shortcut(x))
        gc.collect()
        kept = (blocks(operator)[1] - before) / (x.size * 4)
    assert y.shape == x.shape
    # The output of both convolutions and y; the residual.
    assert round(kept, 1) == (4 if act in SMOOTH else 3)


def test_gelu_by_tanh_is_left_to_paddle():
    unit = ConvBNLayer(4, 8, 3, act=functools.partial(F.gelu, approximate=True))
    x = paddle.randn([2, 4, 6, 6])
    fused.fallback_counts.clear()
    with kernels.use("require"):
        ours = unit(x)
    assert sum(fused.fallback_counts.values()) == 1
    np.testing.assert_array_equal(ours.numpy(), unit(x).numpy())
