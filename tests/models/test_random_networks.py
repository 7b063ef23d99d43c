"""Whatever options are put together: a network that works, or a sentence why there is none."""

import paddle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paddle import nn

from paddle_resnet import ResNet, count
from paddle_resnet.errors import ModelError


def pick(*values):
    return st.sampled_from(values)


def stages(depth):
    return st.fixed_dictionaries(
        {
            "layers": st.lists(pick(1, 2), min_size=depth, max_size=depth),
            "widths": st.lists(pick(4, 8, 16), min_size=depth, max_size=depth),
            "replace_stride_with_dilation": st.none()
            | st.lists(st.booleans(), min_size=depth - 1, max_size=depth - 1),
        }
    )


OPTIONS = {
    "block": pick("basic", "bottleneck", "preact_basic", "preact_bottleneck"),
    "num_classes": pick(0, 5),
    "in_channels": pick(1, 3, 4),
    "stem": pick("imagenet", "cifar", "deep", "keras"),
    "shortcut": pick("A", "B", "C", "D", "biased", "keras"),
    "act": pick("relu", "silu", nn.PReLU, None),
    "norm_layer": pick(nn.BatchNorm2D, None),
    "conv_bias": st.booleans(),
    "padding": pick(None, "same"),
    "groups": pick(1, 2),
    "width_per_group": pick(32, 64, 128),
    "stride_place": pick("v1", "v1.5"),
    "se_reduction": pick(0, 4),
    "stochastic_depth": pick(0.0, 0.3),
    "dropout": pick(0.0, 0.5),
    "early_relu": st.booleans(),
    "residual": st.booleans(),
    "zero_init_residual": st.booleans(),
    "recompute": pick(False, True, 2),
    "data_format": pick("NCHW", "NHWC"),
}


@settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(stages=st.integers(1, 4).flatmap(stages), some=st.fixed_dictionaries({}, optional=OPTIONS))
def test_options_make_a_network_or_a_sentence(stages, some):
    options = {"block": "basic", "num_classes": 5, **stages, **some}
    try:
        network = ResNet(**options)
    except ModelError:
        return
    shape = [options.get("in_channels", 3), 17, 23]
    if network.data_format == "NHWC":
        shape = [*shape[1:], shape[0]]
    images = paddle.randn([2, *shape])
    logits = network(images)
    assert logits.shape == [2, network.num_classes or network.num_features]
    assert len(network.features(images)) == len(options["layers"])
    logits.mean().backward()
    trainable = [p for p in network.parameters() if not p.stop_gradient]
    assert all(p.grad is not None for p in trainable)
    table = count(network, shape)
    assert table.total("parameters") == sum(p.size for p in trainable)
    ran = []
    for layer in network.sublayers():
        if isinstance(layer, nn.Conv2D):
            layer.register_forward_post_hook(lambda _layer, _x, y: ran.append(list(y.shape)))
    network.eval()
    network(images[:1])
    kinds = ("conv", "projection", "gate")
    assert [row.shape for row in table.rows if row.kind in kinds] == ran
