"""Every unit of every network of the registry, beside plain Paddle."""

import numpy as np
import paddle
import pytest
from test_conv_bn_act import inputs, inputs_with_clear_winners, output_gradient, output_shape

from paddle_resnet import ConvBNLayer, create_model, kernels, list_models
from paddle_resnet.kernels import conv_bn_act as fused


def units_of(name):
    """Return ``{description: unit}`` of a network's units, run once so that residuals are seen."""
    with paddle.LazyGuard():
        network = create_model(name, num_classes=10)
    found = {}
    for unit in network.sublayers():
        if isinstance(unit, ConvBNLayer):
            conv = unit.conv
            key = (
                conv._kernel_size[0],
                conv._stride[0],
                conv._groups,
                conv._dilation[0],
                "same" if conv._updated_padding == "SAME" else fused._padding(conv),
                unit.act,
                conv._in_channels,
                conv._out_channels,
                conv.bias is not None,
                unit.bn is not None,
                unit.pool is not None,
            )
            found[key] = unit
    return found


def distinct(channels):
    """Return the distinct units of all networks, with or without their channels."""
    found = {}
    for name in list_models():
        for key in units_of(name):
            kind = key if channels else (*key[:6], *key[8:], key[2] > 1)
            found.setdefault(kind, (name, key))
    return [key for _, key in found.values()]


def check(key, residual):
    size, stride, groups, dilation, padding, act, ins, outs, bias, norm, max_pool = key
    paddle.seed(0)
    options = {"dilation": dilation, "padding": padding, "bias": bias, "max_pool": max_pool}
    if not norm:
        options["norm_layer"] = None
    unit = ConvBNLayer(ins, outs, size, stride, groups, act, **options)
    draw = inputs_with_clear_winners if max_pool else inputs
    image, _ = draw(unit, (2, ins, outs, 9, 7), False)
    ones = np.ones(output_shape(unit, image), "float32") if residual else None
    gradient = paddle.to_tensor(output_gradient(unit, image, ones))
    results = []
    for mode in ("off", "require"):
        x = paddle.to_tensor(image, stop_gradient=False)
        extra = None
        if residual:
            extra = paddle.to_tensor(ones, stop_gradient=False)
        state = {name: value.clone() for name, value in unit.state_dict().items()}
        with kernels.use(mode):
            y = unit(x, extra)
            (y * gradient).sum().backward()
        given = {"y": y.numpy(), "x": x.grad.numpy()}
        if residual:
            given["residual"] = extra.grad.numpy()
        trained = [(n, p) for n, p in unit.named_parameters() if not p.stop_gradient]
        given.update({n: p.grad.numpy() for n, p in trained})
        given.update({n: v.numpy().copy() for n, v in unit.state_dict().items() if "_" in n})
        results.append(given)
        unit.clear_gradients()
        unit.set_state_dict(state)
    for name, plain in results[0].items():
        error = np.abs(results[1][name] - plain).max() / (np.abs(plain).max() + 1e-6)
        assert error < 1e-4, f"{key} {name}: {error:.1e}"


@pytest.mark.parametrize("residual", [False, True])
def test_each_kind_of_unit(residual):
    for key in distinct(channels=False):
        check(key, residual)


@pytest.mark.slow  # minutes: every width of every network
@pytest.mark.parametrize("residual", [False, True])
def test_each_unit_with_its_channels(residual):
    for key in distinct(channels=True):
        check(key, residual)


NO_NORM = "not a Conv2D followed by a BatchNorm2D"
BIAS = "a convolution with bias, or a norm without weights"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", set()),
        ("resnet50", set()),
        ("resnet50_d", set()),
        ("seresnet50", set()),
        ("resnext50_32x4d", set()),
        ("resnet20", set()),
        ("plain20", set()),
        # BN and activation come before the convolution there.
        ("preact_resnet18", {NO_NORM}),
        ("preact_resnet50", {NO_NORM}),
        ("googlenet", set()),
        ("nin", set()),
        ("speedrun_resnet", set()),
        # Biased convolutions, as in the lessons that they are from.
        ("resnet18_keras", {NO_NORM, BIAS}),
        ("resnet18_residual_block", {NO_NORM}),
    ],
)
def test_units_that_fall_back_are_known(name, expected):
    network = create_model(name, num_classes=10)
    network.eval()
    fused.fallback_counts.clear()
    with kernels.use("require"), paddle.no_grad():
        network(paddle.zeros([1, 3, 64, 64]))
    assert set(fused.fallback_counts) == expected
