"""The operator computes what plain Paddle computes: outputs, statistics and every gradient."""

import copy
import functools
import os
import threading

import numpy as np
import paddle
import pytest
from kinks import clear_seed, seen
from paddle import nn

from paddle_resnet import ConvBNLayer, create_model, kernels
from paddle_resnet.kernels import conv_bn_act as fused

#: (kernel, stride, groups, dilation, padding): what the networks of the registry use, and more.
CONVOLUTIONS = [
    (1, 1, 1, 1, None),
    (1, 2, 1, 1, None),
    (3, 1, 1, 1, None),
    (3, 2, 1, 1, None),
    (3, 1, 8, 1, None),
    (3, 2, 8, 1, None),
    (3, 1, 1, 2, None),
    (3, 2, 1, 2, None),
    (3, 1, 1, 1, 0),
    (5, 1, 1, 1, None),
    (7, 2, 1, 1, None),
]
#: (batch, channels in, out, height, width)
SHAPES = [(2, 16, 32, 8, 8), (3, 24, 40, 9, 7), (1, 8, 16, 5, 5)]


def make(convolution, shape, act=None, **options):
    size, stride, groups, dilation, padding = convolution
    paddle.seed(1)
    unit = ConvBNLayer(
        shape[1], shape[2], size, stride, groups, act, dilation=dilation, padding=padding, **options
    )
    unit.bn.weight.set_value(paddle.rand([shape[2]]) + 0.5)
    unit.bn.bias.set_value(paddle.randn([shape[2]]))
    unit.bn._mean.set_value(paddle.randn([shape[2]]))
    unit.bn._variance.set_value(paddle.rand([shape[2]]) + 0.5)
    return unit


def pre_activation(unit, x, residual=None):
    """Return what the unit's ReLU is given, by plain Paddle."""
    unit, given = copy.deepcopy(unit), [paddle.to_tensor(t) for t in (x, residual) if t is not None]
    unit.act = None
    with paddle.no_grad(), kernels.use("off"):
        return unit(*given).numpy()


def output_gradient(unit, x, residual=None):
    """Return a gradient for the output that is 0 where rounding decides what the ReLU passes."""
    z = pre_activation(unit, x, residual)
    weights = np.random.default_rng(3).standard_normal(z.shape, dtype="float32")
    return weights * seen(z) if unit.act == "relu" else weights


def run(mode, unit, x, residual=None, gradient=None):
    """Return outputs, statistics and gradients by name, in ``mode``."""
    if gradient is None:
        gradient = output_gradient(unit, x, residual)
    unit = copy.deepcopy(unit)
    x, residual = (
        None if t is None else paddle.to_tensor(t, stop_gradient=False) for t in (x, residual)
    )
    before = sum(fused.fallback_counts.values())
    with kernels.use(mode):
        y = unit(x, residual)
        (y * paddle.to_tensor(gradient.astype(x.numpy().dtype))).sum().backward()
    assert sum(fused.fallback_counts.values()) == before, fused.fallback_counts
    found = {
        "y": y,
        "mean": unit.bn._mean,
        "variance": unit.bn._variance,
        "x": x.grad,
        "weight": unit.conv.weight.grad,
        "gamma": unit.bn.weight.grad,
        "beta": unit.bn.bias.grad,
    }
    if residual is not None:
        found["residual"] = residual.grad
    return {name: tensor.numpy() for name, tensor in found.items()}


def inputs_with_clear_winners(unit, shape, residual, layout="NCHW"):
    """Return inputs for a unit with max-pooling, with a clear winner in each window."""

    def draw(seed):
        x, shortcut = inputs(unit, shape, residual, seed)
        given = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        pre_activation(unit, given)
        return given, shortcut

    return draw(clear_seed(draw))


def assert_close(ours, plain, tolerance=1e-4):
    for name, expected in plain.items():
        error = np.abs(ours[name] - expected).max() / (np.abs(expected).max() + 1e-6)
        assert error < tolerance, f"{name}: {error:.1e}"


def output_shape(unit, x):
    y = unit.conv(paddle.to_tensor(x))
    return y.shape if unit.pool is None else unit.pool(y).shape


def inputs(unit, shape, residual, seed=0):
    batch, channels, _, height, width = shape
    rng = np.random.default_rng(seed)
    x = rng.standard_normal([batch, channels, height, width], dtype="float32")
    return x, rng.standard_normal(output_shape(unit, x), dtype="float32") if residual else None


@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("act", "residual"), [("relu", False), ("relu", True), (None, False)])
@pytest.mark.parametrize("training", [True, False])
def test_agrees_with_paddle(convolution, shape, act, residual, training):
    unit = make(convolution, shape, act)
    unit.train() if training else unit.eval()
    x, shortcut = inputs(unit, shape, residual)
    assert_close(run("require", unit, x, shortcut), run("off", unit, x, shortcut))


@pytest.mark.parametrize("convolution", [c for c in CONVOLUTIONS if c[2] == 1], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_large_weights_on_small_maps_agree(convolution, training):
    # These are computed as matrix products.
    shape = (2, 512, 520, 5, 4)
    unit = make(convolution, shape, "relu")
    unit.train() if training else unit.eval()
    x, shortcut = inputs(unit, shape, True)
    ours, plain = run("require", unit, x, shortcut), run("off", unit, x, shortcut)
    assert_close(ours, plain)
    with paddle.no_grad(), kernels.use("require"):
        y = copy.deepcopy(unit)(paddle.to_tensor(x), paddle.to_tensor(shortcut))
    assert_close({"y": y.numpy()}, {"y": plain["y"]})
    for name, again in run("require", unit, x, shortcut).items():
        np.testing.assert_array_equal(again, ours[name])


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize(
    "shape", [(8, 32, 48, 9, 10), (5, 64, 32, 12, 17), (40, 96, 96, 4, 3), (1, 48, 32, 30, 33)]
)
@pytest.mark.parametrize("training", [True, False])
def test_many_tiles_of_3x3_windows_agree(shape, padding, training):
    # These are computed by Winograd's algorithm.
    unit = make((3, 1, 1, 1, padding), shape, "relu")
    unit.train() if training else unit.eval()
    x, shortcut = inputs(unit, shape, True)
    ours, plain = run("require", unit, x, shortcut), run("off", unit, x, shortcut)
    assert_close(ours, plain, 3e-5)
    unit.eval()
    with paddle.no_grad():
        given = paddle.to_tensor(x), paddle.to_tensor(shortcut)
        found = []
        for mode in ("require", "off"):
            with kernels.use(mode):
                found.append({"y": unit(*given).numpy()})
    assert_close(*found, 3e-5)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(
    # By Winograd's algorithm (with tiles that end inside of the map, and past it), where sides are
    # even and padding keeps them; else by oneDNN, and with odd sides that pooling leaves behind.
    "shape",
    [
        (8, 32, 48, 16, 16),
        (6, 64, 32, 18, 14),
        (40, 32, 64, 4, 6),
        (5, 32, 32, 15, 17),
        (2, 8, 24, 6, 6),
    ],
)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_max_pooling_before_the_norm_agrees(shape, padding, residual, training):
    unit = make((3, 1, 1, 1, padding), shape, "relu", max_pool=True)
    unit.train() if training else unit.eval()
    x, shortcut = inputs_with_clear_winners(unit, shape, residual)
    ours, plain = run("require", unit, x, shortcut), run("off", unit, x, shortcut)
    assert_close(ours, plain, 3e-5)
    for name, again in run("require", unit, x, shortcut).items():
        np.testing.assert_array_equal(again, ours[name])
    with paddle.no_grad(), kernels.use("require"):
        given = [paddle.to_tensor(t) for t in (x, shortcut) if t is not None]
        y = copy.deepcopy(unit)(*given)
    assert_close({"y": y.numpy()}, {"y": plain["y"]}, 3e-5)


def test_of_equal_values_max_pooling_before_the_norm_picks_the_first():
    # All zeros: no rounding decides; the gradient goes to the first pixel of each window, as in
    # Paddle, so that only these count for the weights. A wrong winner changes these by a hundredth.
    unit = make((3, 1, 1, 1, None), (8, 32, 32), max_pool=True)
    x = np.zeros([8, 32, 16, 16], "float32")
    x[:, :, ::4, ::4] = 1  # what the first pixels see is told from what the others see
    unit.conv.weight.set_value(paddle.zeros(unit.conv.weight.shape))
    assert_close(run("require", unit, x), run("off", unit, x), 1e-5)


def test_maps_larger_than_the_caches_agree():
    # Their outputs are written past the caches, as long as these are below 40 MB.
    side = 420
    unit = make((3, 1, 1, 1, None), (1, 32, 32), "relu")
    rng = np.random.default_rng(0)
    x = rng.standard_normal([1, 32, side, side]).astype("float32")
    assert_close(run("require", unit, x), run("off", unit, x))


@pytest.mark.parametrize("shape", [(4, 24, 64, 16, 16), (4, 32, 64, 16, 16), (2, 512, 512, 4, 4)])
def test_repeats_are_bit_identical(shape):
    # By oneDNN, by Winograd's algorithm, as matrix products.
    unit = make(CONVOLUTIONS[2], shape, "relu")
    x, shortcut = inputs(unit, shape, True)
    first, second = (run("require", unit, x, shortcut) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("training", [True, False])
def test_nan_and_infinity_pass_through(value, training):
    unit = make(CONVOLUTIONS[0], SHAPES[0], "relu")
    unit.train() if training else unit.eval()
    x, _ = inputs(unit, SHAPES[0], False)
    x[0, 3, 2, 2] = value
    with paddle.no_grad(), kernels.use("off"):
        plain = copy.deepcopy(unit)(paddle.to_tensor(x)).numpy()
    with paddle.no_grad(), kernels.use("require"):
        ours = copy.deepcopy(unit)(paddle.to_tensor(x)).numpy()
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(plain))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(plain))


def test_threads_do_not_disturb_each_other():
    cases = [(2 + i, 16, 32, 8 + i, 8) for i in range(4)]
    units = [make(CONVOLUTIONS[2], shape, "relu") for shape in cases]
    images = [inputs(unit, shape, False)[0] for unit, shape in zip(units, cases)]
    found = [[] for _ in cases]

    def steps(i, count):
        with kernels.use("require"):
            for _ in range(count):
                x = paddle.to_tensor(images[i], stop_gradient=False)
                units[i](x).sum().backward()
                found[i].append((x.grad.numpy(), units[i].conv.weight.grad.numpy()))
                units[i].clear_gradients()

    for i in range(4):
        steps(i, 1)
    before = fused.fused_calls
    threads = [threading.Thread(target=steps, args=(i, 20)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fused.fused_calls > before
    for first, *others in found:
        assert len(others) == 20
        for other in others:
            np.testing.assert_array_equal(other[0], first[0])
            np.testing.assert_array_equal(other[1], first[1])


def test_one_pixel_in_eval_mode():
    unit = make(CONVOLUTIONS[0], SHAPES[0], "relu")
    unit.eval()
    x, shortcut = inputs(unit, (1, 16, 32, 1, 1), True)
    assert_close(run("require", unit, x, shortcut), run("off", unit, x, shortcut))


def test_a_large_mean_costs_no_more_precision_than_in_plain_paddle():
    unit = make(CONVOLUTIONS[0], SHAPES[0])
    x, _ = inputs(unit, SHAPES[0], False)
    x += 1000
    truth = run("off", copy.deepcopy(unit).to(dtype="float64"), x.astype("float64"))
    ours, plain = run("require", unit, x), run("off", unit, x)
    for name, exact in truth.items():
        error, usual = (np.abs(found[name] - exact).max() for found in (ours, plain))
        assert error <= 1.5 * usual + 1e-6 * np.abs(exact).max(), name


def test_inference_without_gradients_agrees():
    unit = make(CONVOLUTIONS[2], SHAPES[1], "relu")
    x, shortcut = inputs(unit, SHAPES[1], True)
    ys = []
    for mode in ("off", "require"):
        with kernels.use(mode), paddle.no_grad():
            ys.append(copy.deepcopy(unit)(paddle.to_tensor(x), paddle.to_tensor(shortcut)).numpy())
    np.testing.assert_allclose(*ys, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "frozen",
    [["conv.weight"], ["bn.weight"], ["bn.bias"], ["x"], ["residual"], ["bn.weight", "bn.bias"]],
    ids="+".join,
)
def test_frozen_parts_get_no_gradient_and_the_others_the_same(frozen):
    # Against plain Paddle with nothing frozen: its own BN with one of weight and bias frozen gives
    # the other one no gradient either.
    plain = make(CONVOLUTIONS[2], SHAPES[0], "relu")
    x, shortcut = inputs(plain, SHAPES[0], True)
    results = []
    for mode, still in (("off", ()), ("require", frozen)):
        ours = copy.deepcopy(plain)
        tensors = {"x": paddle.to_tensor(x), "residual": paddle.to_tensor(shortcut)}
        tensors.update({"conv.weight": ours.conv.weight})
        tensors.update({"bn.weight": ours.bn.weight, "bn.bias": ours.bn.bias})
        for name, tensor in tensors.items():
            tensor.stop_gradient = name in still
        with kernels.use(mode):
            # Of squares: their gradient is 0 where the ReLU has its kink.
            (ours(tensors["x"], tensors["residual"]) ** 2).sum().backward()
        results.append({n: t.grad.numpy() for n, t in tensors.items() if t.grad is not None})
    assert not results[1].keys() & set(frozen)
    assert_close(results[1], {n: g for n, g in results[0].items() if n not in frozen})


def test_frozen_statistics_stay():
    unit = make(CONVOLUTIONS[2], SHAPES[0], "relu")
    unit.bn._use_global_stats = True
    x, _ = inputs(unit, SHAPES[0], False)
    assert_close(run("require", unit, x), run("off", unit, x))
    np.testing.assert_array_equal(run("require", unit, x)["mean"], unit.bn._mean.numpy())


def network():
    paddle.seed(5)
    return create_model("resnet20", widths=(8, 16, 24), layers=(2, 1, 1))


@functools.cache
def images():
    """Return images with which no activation of the network is near 0."""

    def draw(seed):
        paddle.seed(seed)
        x = paddle.randn([4, 3, 12, 12])
        with paddle.no_grad(), kernels.use("off"):
            network()(x)
        return x

    return draw(clear_seed(draw))


def gradients(mode, passes=1, recompute=False, prepare=lambda net: None):
    """Return the gradients of the weights and of the images by name, and the network."""
    net, x = network(), paddle.to_tensor(images().numpy(), stop_gradient=False)
    net.recompute = recompute
    prepare(net)
    with kernels.use(mode):
        for _ in range(passes):
            net(x).square().sum().backward()
    found = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
    return {**found, "images": x.grad.numpy()}, net


def test_a_network_has_the_same_gradients_once_and_accumulated():
    for passes in (1, 2):
        ours, net = gradients("require", passes)
        plain, reference = gradients("off", passes)
        assert_close(ours, plain, 1e-3)
        for (name, a), b in zip(net.state_dict().items(), reference.state_dict().values()):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)


def test_recompute_gives_the_same_gradients():
    assert_close(gradients("require", recompute=True)[0], gradients("require")[0], 1e-5)


def test_gradients_of_maps_inside_a_network():
    found = []
    for mode in ("off", "require"):
        net = network()
        maps = []
        hook = net.layer2.register_forward_post_hook(lambda layer, i, o, maps=maps: maps.append(o))
        with kernels.use(mode):
            score = net(images())[:, 1].sum()
            (gradient,) = paddle.grad(score, maps[0])
        hook.remove()
        found.append({"gradient": gradient.numpy(), "map": maps[0].numpy()})
    assert_close(found[1], found[0], 1e-3)


def test_one_tensor_into_two_heads_one_after_the_other():
    unit = make(CONVOLUTIONS[0], SHAPES[0], "relu")
    head = make(CONVOLUTIONS[0], (2, 32, 8, 8, 8), "relu")
    x, _ = inputs(unit, SHAPES[0], False)
    with kernels.use("require"):
        middle = unit(paddle.to_tensor(x))
        first = [paddle.grad(head(middle).sum(), middle)[0].numpy() for _ in range(2)]
    np.testing.assert_array_equal(*first)


def test_writing_into_a_tensor_is_seen():
    unit = make(CONVOLUTIONS[0], SHAPES[0])
    x, _ = inputs(unit, SHAPES[0], False)
    x = paddle.to_tensor(x)
    unit.eval()
    with kernels.use("require"):
        unit(x)
        x[:] = 1.0
        ours = unit(x)
    with kernels.use("off"):
        np.testing.assert_allclose(ours.numpy(), unit(x).numpy(), rtol=1e-4, atol=1e-5)


def test_channels_last_networks_agree():
    paddle.seed(7)
    x = np.random.default_rng(0).standard_normal([2, 3, 16, 16], dtype="float32")
    found = []
    for mode, layout in (("off", "NCHW"), ("require", "NHWC")):
        paddle.seed(5)
        net = create_model("resnet18", widths=(8, 8, 16, 16), stem="cifar", data_format=layout)
        images = paddle.to_tensor(x if layout == "NCHW" else x.transpose(0, 2, 3, 1).copy())
        with kernels.use(mode):
            found.append(net(images).numpy())
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_many_shapes_do_not_pile_up():
    unit = make(CONVOLUTIONS[0], (1, 8, 8, 4, 4))
    unit.eval()
    with kernels.use("require"), paddle.no_grad():
        for height in range(2, 40):
            for width in range(2, 32):
                unit(paddle.ones([1, 8, height, width]))
        x = paddle.ones([1, 8, 2, 2])
        ours = unit(x)
    np.testing.assert_allclose(ours.numpy(), unit(x).numpy(), rtol=1e-4)


@pytest.mark.slow
def test_nothing_leaks_over_ten_thousand_steps():
    unit = make(CONVOLUTIONS[2], (2, 16, 16, 8, 8), "relu")
    x = paddle.randn([2, 16, 8, 8])
    x.stop_gradient = False

    def steps(count):
        for _ in range(count):
            unit(unit(x), x).sum().backward()
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


@pytest.mark.parametrize(
    "options",
    [
        {"act": "leaky_relu"},
        {"bias": True},
        {"norm_layer": None},
        {"norm_layer": nn.InstanceNorm2D},
    ],
    ids=str,
)
def test_what_it_does_not_know_falls_back_and_is_counted(options):
    paddle.seed(0)
    unit = ConvBNLayer(4, 8, 3, **options)
    x = paddle.randn([2, 4, 6, 6])
    fused.fallback_counts.clear()
    with kernels.use("require"):
        ours = unit(x)
    assert sum(fused.fallback_counts.values()) == 1
    np.testing.assert_array_equal(ours.numpy(), unit(x).numpy())


def test_hooks_on_the_inner_layers_are_called():
    unit, seen = make(CONVOLUTIONS[0], SHAPES[0]), []
    unit.conv.register_forward_post_hook(lambda layer, i, o: seen.append(o.shape))
    pooled = make(CONVOLUTIONS[0], SHAPES[0], max_pool=True)
    pooled.pool.register_forward_post_hook(lambda layer, i, o: seen.append(o.shape))
    with kernels.use("require"):
        unit(paddle.randn([2, 16, 8, 8]))
        pooled(paddle.randn([2, 16, 8, 8]))
    assert seen == [[2, 32, 8, 8], [2, 32, 4, 4]]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("fixed", ["x", "weight", "both"])
def test_max_pooling_before_the_norm_where_not_all_is_trained(fixed, layout):
    unit = make((3, 1, 1, 1, None), (8, 32, 40), "relu", max_pool=True, data_format=layout)
    x, _ = inputs_with_clear_winners(unit, (8, 32, 40, 16, 12), False, layout)
    found = []
    unit.conv.weight.stop_gradient = fixed != "x"
    for mode in ("require", "off"):
        given = paddle.to_tensor(x, stop_gradient=fixed != "weight")
        unit.clear_gradients()
        with kernels.use(mode):
            y = unit(given)
            (y**2).sum().backward()  # its gradient is 0 where the ReLU has its kink
        grads = {"x": given.grad, "weight": unit.conv.weight.grad, "gamma": unit.bn.weight.grad}
        found.append({name: g.numpy() for name, g in grads.items() if g is not None})
        found[-1]["y"] = y.numpy()
    assert set(found[0]) == {"y", "gamma", *({"x", "weight"} - {fixed} if fixed != "both" else ())}
    assert_close(*found)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_through_max_pooling_before_the_norm(value):
    # By Winograd's algorithm: NaN in all of the 4x4 outputs that see one, none elsewhere.
    unit = make((3, 1, 1, 1, None), (8, 32, 32), max_pool=True)
    unit.eval()
    x = np.random.default_rng(0).standard_normal([8, 32, 16, 16]).astype("float32")
    x[0, 3, 5, 5] = value  # inside of one tile
    with paddle.no_grad(), kernels.use("require"):
        y = unit(paddle.to_tensor(x)).numpy()
    expected = np.ones(y.shape, bool)
    expected[0, :, 2:4, 2:4] = False
    np.testing.assert_array_equal(np.isfinite(y), expected)


@pytest.mark.parametrize(
    "pool", [nn.AvgPool2D(2), nn.MaxPool2D(2, ceil_mode=True), nn.MaxPool2D(3, 2, 1)], ids=repr
)
def test_another_pooling_in_its_place_is_left_to_paddle(pool):
    unit, x = make((3, 1, 1, 1, None), (8, 32, 32), max_pool=True), paddle.randn([8, 32, 17, 16])
    unit.pool = pool
    unit.eval()
    fused.fallback_counts.clear()
    with kernels.use("require"):
        ours = unit(x)
    assert sum(fused.fallback_counts.values()) == 1
    with kernels.use("off"):
        np.testing.assert_allclose(ours.numpy(), unit(x).numpy(), rtol=1e-5, atol=1e-5)


def test_exported_networks_hold_plain_operators(tmp_path):
    net = network()
    net.eval()
    spec = [paddle.static.InputSpec([None, 3, 12, 12], "float32")]
    with kernels.use("require"):
        paddle.jit.save(net, str(tmp_path / "net"), spec)
        x = paddle.randn([2, 3, 12, 12])
        ours = net(x)
    for file in tmp_path.iterdir():
        assert b"paddle_resnet_conv_bn" not in file.read_bytes()
    loaded = paddle.jit.load(str(tmp_path / "net"))
    np.testing.assert_allclose(loaded(x).numpy(), ours.numpy(), rtol=1e-3, atol=1e-4)
