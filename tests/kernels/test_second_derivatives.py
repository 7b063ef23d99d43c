"""Gradients of gradients through the operator, for penalties on gradients, beside plain Paddle."""

import numpy as np
import paddle
import pytest
from kinks import clear_seed
from paddle.nn import functional as F
from test_bfloat16 import U
from test_conv_bn_act import assert_close, make

from paddle_resnet import ConvBNLayer, activation_dtype, create_model, kernels
from paddle_resnet.kernels import conv_bn_act
from paddle_resnet.kernels.activations import cast
from paddle_resnet.layers import BasicBlock, BottleneckBlock, Style
from paddle_resnet.layers.pooling import MaxPool2D
from paddle_resnet.layers.shortcuts import ZeroPad

#: (kernel, stride, groups, dilation, padding), shape: by oneDNN, by Winograd, as matrix products.
LAYERS = [
    ((3, 1, 1, 1, None), (2, 6, 8, 6, 5)),
    ((3, 2, 2, 1, None), (2, 6, 8, 7, 6)),
    ((1, 2, 1, 1, None), (2, 6, 8, 6, 5)),
    ((3, 1, 1, 2, None), (2, 6, 8, 6, 5)),
    ((3, 1, 1, 1, None), (2, 32, 32, 10, 9)),
    ((1, 1, 1, 1, None), (2, 512, 520, 2, 2)),
]


def penalized(mode, layer, given, wanted=("inputs", "weights")):
    """Return the gradients of a penalty on all gradients of a layer, by name.

    Args:
        given: arrays, the layer's inputs.
        wanted: whose gradients are penalized.
    """
    layer.clear_gradients()
    inputs = [paddle.to_tensor(each, stop_gradient=False) for each in given]
    trained = {n: p for n, p in layer.named_parameters() if not p.stop_gradient}
    with kernels.use(mode):
        output = layer(*inputs)
        weights = np.random.default_rng(1).standard_normal(output.shape, dtype="float32")
        score = (output * paddle.to_tensor(weights)).sum() + (output**2).sum()
        of = ("inputs" in wanted) * inputs + ("weights" in wanted) * [*trained.values()]
        first = paddle.grad(score, of, create_graph=True)
        sum((gradient**2).sum() for gradient in first).backward()
    found = {f"first {i}": gradient.detach() for i, gradient in enumerate(first)}
    found.update({f"input {i}": tensor.grad for i, tensor in enumerate(inputs)})
    found.update({name: parameter.grad for name, parameter in trained.items()})
    assert [name for name, gradient in found.items() if gradient is None] == []
    return {name: gradient.numpy() for name, gradient in found.items()}


def compare(build, tolerance=2e-4, **options):
    """Compare both ways on the first seed that keeps clear of kinks; ``build(seed)`` gives both."""

    def run(seed):
        layer, given = build(seed)
        with paddle.no_grad(), kernels.use("off"):
            layer(*map(paddle.to_tensor, given))
        return layer, given

    layer, given = run(clear_seed(run) if layer_has_kinks(build) else 0)
    before = conv_bn_act.fused_calls
    ours = penalized("require", layer, given, **options)
    assert conv_bn_act.fused_calls > before
    assert_close(ours, penalized("off", layer, given, **options), tolerance)


class PlainMaxPool(paddle.nn.Layer):
    """2x2 max-pooling of Paddle's operators that have second derivatives, which its own has not."""

    def __init__(self, layout):
        super().__init__()
        self.layout = layout

    def forward(self, x):
        if self.layout == "NHWC":
            x = x.transpose([0, 3, 1, 2])
        n, c, h, w = x.shape
        windows = x.reshape([n, c, h // 2, 2, w // 2, 2]).transpose([0, 1, 2, 4, 3, 5])
        windows = windows.reshape([n, c, h // 2, w // 2, 4])
        winners = F.one_hot(windows.detach().argmax(-1), 4)
        y = (windows * winners).sum(-1)
        return y if self.layout == "NCHW" else y.transpose([0, 2, 3, 1])


def layer_has_kinks(build):
    layer, _ = build(0)
    return any(getattr(each, "act", None) for each in layer.sublayers(include_self=True))


def layer_and_inputs(convolution, shape, act, residual, layout, **options):
    def build(seed):
        unit = make(convolution, shape, act, data_format=layout, **options)
        rng = np.random.default_rng(seed)
        batch, channels, _, height, width = shape
        x = rng.standard_normal([batch, channels, height, width], dtype="float32")
        x = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        with kernels.use("off"):
            out = unit(paddle.to_tensor(x)).shape
        return unit, [x, rng.standard_normal(out, dtype="float32")][: 1 + residual]

    return build


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("act", "residual"), [("relu", True), ("relu", False), (None, False)])
@pytest.mark.parametrize(("convolution", "shape"), LAYERS, ids=str)
def test_of_a_layer(convolution, shape, act, residual, layout):
    compare(layer_and_inputs(convolution, shape, act, residual, layout))


@pytest.mark.parametrize("residual", [False, True])
def test_of_penalties_on_some_gradients_only(residual):
    """They add up to the penalty on all (which plain Paddle misses, as finite differences show)."""
    layer, given = layer_and_inputs(*LAYERS[0], "relu", residual, "NCHW")(0)
    both = penalized("require", layer, given)
    parts = [penalized("require", layer, given, (each,)) for each in ("inputs", "weights")]
    for name in both:
        if not name.startswith("first"):
            found = sum(part[name] for part in parts)
            np.testing.assert_allclose(found, both[name], atol=1e-4 * np.abs(both[name]).max())


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("shape", [(2, 6, 8, 8, 6), (8, 32, 32, 8, 8)])
def test_of_a_layer_with_max_pooling(shape, residual, layout):
    build = layer_and_inputs((3, 1, 1, 1, None), shape, "relu", residual, layout, max_pool=True)

    def run(seed):
        layer, given = build(seed)
        with paddle.no_grad(), kernels.use("off"):
            layer(*map(paddle.to_tensor, given))
        return layer, given

    layer, given = run(clear_seed(run))
    ours = penalized("require", layer, given)
    layer.pool = PlainMaxPool(layout)
    assert_close(ours, penalized("off", layer, given), 2e-4)


@pytest.mark.parametrize("residual", [False, True])
def test_with_statistics_that_stay(residual):
    # What BN does in eval mode; Paddle has the second derivative of this spelling only.
    build = layer_and_inputs(*LAYERS[0], "relu", residual, "NCHW")

    def frozen(seed):
        unit, given = build(seed)
        unit.bn._use_global_stats = True
        return unit, given

    compare(frozen)
    unit, given = frozen(0)
    ours = penalized("require", unit, given)
    unit.bn._use_global_stats = None
    unit.eval()
    for name, value in penalized("require", unit, given).items():
        np.testing.assert_array_equal(value, ours[name])


def blocks(cls, shortcut, layout, channels=6):
    def build(seed):
        paddle.seed(seed)
        block = cls(channels, 8, 2, shortcut, style=Style(data_format=layout))
        shape = [2, channels, 6, 5] if layout == "NCHW" else [2, 6, 5, channels]
        return block, [np.random.default_rng(seed).standard_normal(shape, dtype="float32")]

    return build


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("shortcut", ["A", "B", "D"])
@pytest.mark.parametrize("cls", [BasicBlock, BottleneckBlock])
def test_of_a_block(cls, shortcut, layout):
    compare(blocks(cls, shortcut, layout), 1e-3)


class Features(paddle.nn.Layer):
    """A small network, up to its last activation."""

    def __init__(self, **options):
        super().__init__()
        small = {"widths": (4, 8, 8), "layers": (1, 1, 1)}
        self.network = create_model("resnet20", **small, **options)
        self.network.fc = paddle.nn.Identity()

    def forward(self, x):
        return self.network.forward_features(x)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_of_forward_features(layout):
    def build(seed):
        paddle.seed(seed)
        shape = [2, 3, 10, 12] if layout == "NCHW" else [2, 10, 12, 3]
        images = np.random.default_rng(seed).standard_normal(shape, dtype="float32")
        return Features(data_format=layout), [images]

    compare(build, 2e-3, wanted=("inputs",))


@pytest.mark.parametrize(
    "layer", [MaxPool2D(3, 2, 1), MaxPool2D(2), ZeroPad(4, 2, "NCHW")], ids=str
)
def test_of_pooling_and_of_shortcut_a(layer):
    """They pick numbers: with m the picked ones, the penalty on 3 m^2 is 9 m^4."""
    x = (np.random.default_rng(0).permutation(2 * 6 * 7 * 8) / 256).reshape(2, 6, 7, 8)
    given = paddle.to_tensor(x.astype("float32"), stop_gradient=False)
    picked = paddle.to_tensor(x.astype("float32"), stop_gradient=False)
    with kernels.use("require"):
        (first,) = paddle.grad((layer(given) ** 3).sum(), given, create_graph=True)
        (first * first.detach()).sum().backward()
    with kernels.use("off"):  # the same by first derivatives alone
        y = layer(picked)
        (slope,) = paddle.grad((y**3).sum(), picked, retain_graph=True)
        # Each y[j] = x[i] is differentiated with the weight of the pixels that it was picked from.
        of_y = paddle.to_tensor(layer(picked.detach()).numpy())
        weights = layer_gather(layer, picked.detach(), slope)
        (6 * of_y * weights * y).sum().backward()
    np.testing.assert_allclose(first.numpy(), slope.numpy(), rtol=1e-5)
    np.testing.assert_allclose(given.grad.numpy(), picked.grad.numpy(), rtol=1e-5)


def layer_gather(layer, x, values):
    """Return, for each output, the value at the pixel that it was picked from; 0 for padding."""
    if isinstance(layer, ZeroPad):
        with kernels.use("off"):
            return layer(values)
    _, places = F.max_pool2d(x, layer.ksize, layer.stride, layer.padding, return_mask=True)
    n, c, h, w = values.shape
    flat = paddle.take_along_axis(values.reshape([n, c, h * w]), places.reshape([n, c, -1]), 2)
    return flat.reshape(places.shape)


@pytest.mark.parametrize("residual", [False, True])
def test_nested_calls_of_paddle_grad(residual):
    """A Hessian times a vector, and that times a vector again: never a silent zero."""
    unit, given = layer_and_inputs(*LAYERS[0], "relu", residual, "NCHW")(3)
    inputs = [paddle.to_tensor(each, stop_gradient=False) for each in given]
    products = []
    for mode in ("off", "require"):
        with kernels.use(mode):
            (first,) = paddle.grad((unit(*inputs) ** 2).sum(), inputs[0], create_graph=True)
            (product,) = paddle.grad(first, inputs[0], paddle.ones_like(first), retain_graph=True)
            products.append({"product": product.numpy()})
            # Plain Paddle's own limit too.
            with pytest.raises((RuntimeError, OSError), match="create_graph"):
                paddle.grad(first.sum(), inputs[0], create_graph=True)
    assert_close(*products, 1e-3)


@pytest.mark.parametrize("layer", [MaxPool2D(2), ZeroPad(4, 1, "NCHW")], ids=str)
def test_a_third_derivative_is_refused_in_a_sentence(layer):
    x = paddle.to_tensor(np.arange(64.0, dtype="float32").reshape(1, 4, 4, 4), stop_gradient=False)
    with kernels.use("require"):
        (first,) = paddle.grad((layer(x) ** 3).sum(), x, create_graph=True)
        with pytest.raises(OSError, match=r"there is no third derivative, neither here nor"):
            paddle.grad((first**2).sum(), x, create_graph=True)


def away_from_zero(unit):
    """Let each channel lie well above or below zero, where the ReLU has its kink."""
    channels = unit.bn.bias.shape[0]
    unit.bn.weight.set_value(np.full(channels, 0.3, "float32"))
    unit.bn.bias.set_value(np.where(np.arange(channels) % 3, 5, -5).astype("float32"))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("max_pool", [False, True])
def test_of_bfloat16_activations(layout, max_pool):
    rng = np.random.default_rng(0)
    shape = [2, 8, 8, 8]
    x = rng.integers(-1, 2, shape).astype("float32")
    weights, found = rng.standard_normal(2 * 8 * 8 * 12, dtype="float32"), []
    for dtype in ("float32", "bfloat16"):
        paddle.seed(0)
        unit = ConvBNLayer(8, 12, 3, act="relu", max_pool=max_pool, data_format=layout)
        unit.conv.weight.set_value(
            np.random.default_rng(1).integers(-1, 2, unit.conv.weight.shape).astype("float32")
        )
        away_from_zero(unit)
        given = paddle.to_tensor(x, stop_gradient=False)
        before = conv_bn_act.bfloat16_calls
        with kernels.use("require"):
            y = cast(unit(cast(given, dtype)), "float32")
            score = (y * paddle.to_tensor(weights[: y.size].reshape(y.shape)) + 0.002 * y**4).sum()
            first = paddle.grad(score, [given, unit.conv.weight], create_graph=True)
            sum((gradient**2).sum() for gradient in first).backward()
        assert (conv_bn_act.bfloat16_calls > before) == (dtype == "bfloat16")
        gradients = [given.grad, unit.conv.weight.grad, unit.bn.weight.grad]
        found.append([gradient.numpy() for gradient in (*first, *gradients)])
    for plain, half in zip(*found):
        assert np.linalg.norm(half - plain) < 12 * U * np.linalg.norm(plain)


def test_of_a_network_with_bfloat16_activations():
    x = np.random.default_rng(0).standard_normal([4, 3, 12, 12], dtype="float32")
    penalties, gradients = [], []
    for dtype in ("float32", "bfloat16"):
        paddle.seed(1)
        network = create_model("resnet20", widths=(8, 16, 16), layers=(1, 1, 1))
        images = paddle.to_tensor(x, stop_gradient=False)
        with kernels.use("require"), activation_dtype(dtype):
            score = (network(images)[:, 3] ** 2).sum()
            (first,) = paddle.grad(score, images, create_graph=True)
            penalty = (first**2).sum()
            penalty.backward()
        penalties.append(float(penalty))
        gradients.append(network.conv1.conv.weight.grad.numpy())
    assert abs(penalties[1] - penalties[0]) < 0.2 * penalties[0]
    cosine = np.sum(gradients[0] * gradients[1])
    assert cosine > 0.8 * np.linalg.norm(gradients[0]) * np.linalg.norm(gradients[1])


@pytest.mark.parametrize("mode", ["off", "require"])
def test_recomputed_blocks_refuse_it(mode):
    """Paddle's own recompute leaves terms out and says nothing."""
    network = create_model("resnet20", widths=(4, 8, 8), layers=(1, 1, 1), recompute=True)
    x = paddle.to_tensor(np.ones([2, 3, 8, 8], "float32"), stop_gradient=False)
    with kernels.use(mode):
        paddle.grad((network(x) ** 2).sum(), x)
        score = (network(x) ** 2).sum()
        with pytest.raises(OSError, match="no second derivative through recomputed blocks: set"):
            paddle.grad(score, x, create_graph=True)
        network.recompute = False
        (first,) = paddle.grad((network(x) ** 2).sum(), x, create_graph=True)
        assert not first.stop_gradient


def test_gradient_penalties_train_as_in_plain_paddle():
    found = {}

    def train(mode, seed):
        paddle.seed(seed)
        network = create_model("resnet20", widths=(4, 8, 8), layers=(1, 1, 1), num_classes=3)
        optimizer = paddle.optimizer.SGD(0.01, parameters=network.parameters())
        rng = np.random.default_rng(seed)
        with kernels.use(mode):
            for _ in range(2):
                x = paddle.to_tensor(rng.standard_normal([3, 3, 8, 8], "float32"))
                x.stop_gradient = False
                logits = network(x)
                loss = F.cross_entropy(logits, paddle.arange(3))
                (first,) = paddle.grad((logits**2).sum(), x, create_graph=True)
                (loss + 0.1 * (first**2).sum()).backward()
                optimizer.step()
                optimizer.clear_grad()
        return {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    seed = clear_seed(lambda seed: train("off", seed))
    found = [train(mode, seed) for mode in ("require", "off")]
    for name, expected in found[1].items():
        error = np.abs(found[0][name] - expected).max() / (np.abs(expected).max() + 1e-3)
        assert error < 2e-4, name
