"""Paths of layers lead to them, each once; names of parameters are those of the state dict."""

import copy

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import ConvBNLayer, create_model
from paddle_resnet.layers.flat_names import LayerPath

NETWORKS = [
    "resnet18",
    "resnet50_d",
    "preact_resnet18",
    "googlenet",
    "seresnet50",
    "resnet18_keras",
]


class Holder(nn.Layer):
    """A user's own layer around networks and bare layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = ConvBNLayer(3, 4, 1)
        self.reduce = ConvBNLayer(4, 4, 1, act=nn.PReLU)
        self.norm = ConvBNLayer(
            4, 4, 1, norm_layer=lambda n: nn.Sequential(nn.BatchNorm2D(n), nn.BatchNorm2D(n))
        )
        self.rows = nn.LayerList([ConvBNLayer(4, 4, 1, names=("a", "b"))])
        self.again = self.conv1  # shared


def layers():
    with paddle.LazyGuard():
        for name in NETWORKS:
            network = create_model(name)
            yield name, network
            yield f"wrapped {name}", nn.Sequential(network, nn.ReLU())
    yield "holder", Holder()
    yield "holder twice", nn.LayerList([Holder(), Holder()])
    yield "bare", ConvBNLayer(3, 4, 1)
    yield "in a dictionary", nn.LayerDict({"conv3": ConvBNLayer(3, 4, 1)})


LAYERS = list(layers())


def at(root, path):
    """Follow a path, as tools that replace layers do."""
    for step in path.split(".") if path else []:
        root = root._sub_layers[step]
    return root


@pytest.mark.parametrize(("name", "root"), LAYERS, ids=lambda x: x if isinstance(x, str) else "")
def test_paths_lead_to_the_layers_and_each_layer_has_one(name, root):
    for include_self in (False, True):
        pairs = list(root.named_sublayers(include_self=include_self))
        assert len(dict(pairs)) == len(pairs)
        assert [layer for _, layer in pairs] == list(root.sublayers(include_self=include_self))
        assert all(at(root, path) is layer for path, layer in pairs)
    plain = dict(nn.Layer.named_sublayers(root))  # Paddle's own way, from the root
    assert list(plain) == [path for path, _ in root.named_sublayers()]
    started = [path for path, _ in root.named_sublayers(prefix="net.0")]
    assert started == [f"net.0.{path}" for path, _ in root.named_sublayers()]


@pytest.mark.parametrize(("name", "root"), LAYERS, ids=lambda x: x if isinstance(x, str) else "")
def test_names_of_parameters_are_the_keys_of_the_state_dict(name, root):
    keys = list(root.state_dict())
    names = [name for name, _ in root.named_parameters()]
    assert len(set(names)) == len(names)
    assert set(names) <= set(keys)
    assert set(keys) - set(names) <= {"again.conv.weight"} | {k for k in keys if "again." in k}
    own = {id(p): name for name, p in root.named_parameters()}
    found = {}
    for path, layer in root.named_sublayers(include_self=True):
        for key, parameter in layer._parameters.items():
            if parameter is not None:
                found.setdefault(id(parameter), path + ("." if path else "") + key)
    assert found == own


def test_resnet18_has_60_layers_with_60_names():
    with paddle.LazyGuard():
        network = create_model("resnet18")
    assert len(dict(network.named_sublayers())) == len(network.sublayers())
    units = [layer for layer in network.sublayers() if isinstance(layer, ConvBNLayer)]
    named = [layer for layer in dict(network.named_sublayers()).values() if layer in units]
    assert len(named) == len(units) == 20


def test_a_layer_is_replaced_by_its_path():
    """As tools for quantization and low rank do it."""
    network = create_model("resnet18", num_classes=10, widths=(8, 8, 8, 8))
    replaced = 0
    for path, layer in list(network.named_sublayers()):
        if isinstance(layer, nn.BatchNorm2D):
            parent, _, last = path.rpartition(".")
            setattr(at(network, parent), last, nn.Identity())
            replaced += 1
    assert replaced == 20
    assert not [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    assert network(paddle.randn([1, 3, 32, 32])).shape == [1, 10]


def test_paths_are_text():
    path = LayerPath("layer1.conv2.bn", "layer1.bn2")
    assert path == "layer1.conv2.bn"
    assert hash(path) == hash("layer1.conv2.bn")
    assert path + ".weight" == "layer1.bn2.weight"
    assert f"{path}" == str(path) == "layer1.conv2.bn"
    assert path.split(".") == ["layer1", "conv2", "bn"]
    assert copy.deepcopy({path: 1}) == {"layer1.conv2.bn": 1}


def test_weights_are_set_by_the_names_of_parameters():
    one, other = Holder(), Holder()
    values = {name: p.numpy() + 1 for name, p in one.named_parameters()}
    missing, unexpected = other.set_state_dict(values)
    assert unexpected == []
    assert all("again" in key for key in missing)
    for name, parameter in other.named_parameters():
        np.testing.assert_array_equal(parameter.numpy(), values[name])
