"""Counting: each row, the sums, and the arithmetic of the Inception module."""

import argparse
import json
import math

import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet import count, create_model, resnet50
from paddle_resnet.commands import count as command
from paddle_resnet.errors import ModelError
from paddle_resnet.layers import Inception
from paddle_resnet.models.count_table import (
    as_dict,
    as_text,
    convolution_macs,
    inception_costs,
    summary,
)
from paddle_resnet.models.counting import Row


@pytest.fixture(scope="module")
def table():
    return count(resnet50(), (3, 224, 224))


def test_sums_of_resnet50(table):
    assert table.total("parameters") == 25_557_032
    assert table.total("parameters") + table.total("statistics") == 25_610_152
    assert table.total("macs") == 4_089_184_256
    assert (table.layers("conv"), table.layers("projection"), table.layers("linear")) == (49, 4, 1)
    assert table.layers("norm") == 53
    assert summary(table) == (
        "49 convolutions on the main path + 1 linear = 50 layers; 4 projections beside it."
    )


def test_rows_come_in_the_order_they_run_and_show_what_has_no_parameters(table):
    assert table.rows[0] == Row("conv1", "conv", [1, 64, 112, 112], 9408, 0, 9408 * 112 * 112)
    assert table.rows[1] == Row("bn1", "norm", [1, 64, 112, 112], 128, 128, 0)
    assert [(row.name, row.kind) for row in table.rows[2:15]] == [
        ("conv1", "relu"),
        ("maxpool", "maxpool2d"),
        ("layer1.0.downsample.0", "projection"),
        ("layer1.0.downsample.1", "norm"),
        *(("layer1.0.conv1", "conv"), ("layer1.0.bn1", "norm"), ("layer1.0.conv1", "relu")),
        *(("layer1.0.conv2", "conv"), ("layer1.0.bn2", "norm"), ("layer1.0.conv2", "relu")),
        *(("layer1.0.conv3", "conv"), ("layer1.0.bn3", "norm")),
        *(("layer1.0.conv3", "add"),),
    ]
    assert table.layers("add") == 16
    assert table.layers("relu") == 49
    assert [row.kind for row in table.rows[-3:]] == ["adaptiveavgpool2d", "flatten", "linear"]
    assert table.rows[-1] == Row("fc", "linear", [1, 1000], 2_049_000, 0, 2_048_000)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18_keras", 33), ("preact_resnet18", 47), ("resnet50_d", 65), ("googlenet", 64)],
)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_shapes_are_those_of_a_real_run(name, size, layout):
    """The counter computes shapes instead of convolutions: they must be the true ones."""
    options = {"data_format": layout, "num_classes": 10}
    network = create_model(name, **options)
    shape = (3, size, size) if layout == "NCHW" else (size, size, 3)
    counted = [
        row.shape for row in count(network, shape).rows if row.kind in ("conv", "projection")
    ]
    ran = []
    for layer in network.sublayers():
        if isinstance(layer, nn.Conv2D):
            layer.register_forward_post_hook(lambda _layer, _x, y: ran.append(list(y.shape)))
    network.eval()
    network(paddle.zeros([1, *shape]))
    assert counted == ran


def test_a_counted_network_is_as_it_was():
    network = create_model("resnet20")
    x = paddle.randn([2, 3, 32, 32])
    network.eval()
    before = network(x).numpy()
    network.layer1.train()
    count(network, (3, 32, 32))
    assert network.layer1[0].training
    assert not network.layer2[0].training
    assert not any(layer._forward_post_hooks for layer in network.sublayers())
    network.eval()
    assert (network(x).numpy() == before).all()


def test_networks_of_others_are_counted_too():
    theirs = count(paddle.vision.models.resnet18(), (3, 224, 224))
    ours = count(create_model("resnet18"), (3, 224, 224))
    for column in ("parameters", "statistics", "macs"):
        assert theirs.total(column) == ours.total(column)
    assert theirs.layers("projection") == ours.layers("projection") == 3
    # What Paddle computes between its layers cannot be seen from outside.
    assert theirs.layers("add") == 0


def test_shared_weights_are_counted_once_and_multiplied_twice():
    shared = nn.Linear(8, 8)
    network = nn.Sequential(shared, nn.ReLU(), shared)
    table = count(network, (8,))
    assert (table.total("parameters"), table.total("macs")) == (72, 128)


def test_gates_and_zero_padding_are_shown():
    table = count(create_model("resnet20", se_reduction=4), (3, 32, 32))
    kinds = {row.kind for row in table.rows}
    assert {"zeropad", "gate", "add", "relu", "adaptiveavgpool2d"} <= kinds
    assert table.layers("gate") == 18
    assert table.layers("conv") == 19
    assert "18 in squeeze-and-excitation gates" in summary(table)


def test_injected_activations_are_shown_and_their_parameters_counted():
    network = create_model("resnet20", act=nn.PReLU)
    table = count(network, (3, 32, 32))
    assert table.total("parameters") == 269_722 + 19
    assert table.layers("prelu") == 19
    assert count(create_model("resnet20", act=F.hardswish), (3, 32, 32)).layers("hardswish") == 19


def test_the_arithmetic_of_the_inception_module():
    costs = inception_costs()
    assert costs["direct"] == 120_422_400
    assert (costs["reduce"], costs["then"]) == (2_408_448, 10_035_200)
    assert costs["bottleneck"] == 12_443_648
    assert round(costs["direct"] / costs["bottleneck"], 2) == 9.68
    table = count(Inception(192, 64, 96, 128, 16, 32, 32), (192, 28, 28))
    branch = [row.macs for row in table.rows if row.name.startswith("branch3") and row.macs]
    assert branch == [costs["reduce"], costs["then"]]


def test_bottleneck_arithmetic():
    through = sum(convolution_macs(1, 1, k, i, o) for k, i, o in ((1, 256, 64), (3, 64, 64)))
    assert through + convolution_macs(1, 1, 1, 64, 256) == 69_632
    assert 2 * convolution_macs(1, 1, 3, 256, 256) == 1_179_648


def test_text_and_json(table):
    lines = as_text(table, "resnet50").splitlines()
    assert lines[0] == "resnet50"
    assert lines[2].split() == ["layer", "kind", "output", "parameters", "statistics", "MACs"]
    assert lines[3].split() == ["conv1", "conv", "64x112x112", "9,408", "118,013,952"]
    assert lines[-3].split() == ["total", "25,557,032", "53,120", "4,089,184,256"]
    assert len({len(line) for line in lines[2:4]}) == 1
    data = json.loads(json.dumps(as_dict(table)))
    assert data["macs"] == sum(row["macs"] for row in data["rows"])
    assert math.prod(data["rows"][0]["shape"]) == 64 * 112 * 112


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["count", *arguments])
    return parsed.run(parsed)


def test_command(capsys):
    assert run("resnet110", "--shortcut", "B", "--summary") == 0
    out = capsys.readouterr().out
    assert "resnet110, one image of 3x32x32: 1,730,714 parameters, 253,1" in out
    assert "109 convolutions on the main path + 1 linear = 110 layers; 2 projections" in out
    run("resnet18", "--stem", "cifar", "--classes", "10", "--input", "3x32x32", "--json")
    data = json.loads(capsys.readouterr().out)
    assert (data["parameters"], round(data["macs"] / 1e6, 1)) == (11_173_962, 555.4)
    run("resnet20", "--input", "1x28x20")
    out = capsys.readouterr().out
    assert "resnet20, one image of 1x28x20" in out
    first, last = (
        next(line.split() for line in out.splitlines() if line.startswith(name))
        for name in ("conv1", "layer3.2.conv2")
    )
    assert first[2:4] == ["16x28x20", "144"]
    assert last[2] == "64x7x5"


def test_command_prints_the_arithmetic_of_the_inception_module(capsys):
    assert run("--inception") == 0
    out = capsys.readouterr().out
    assert "120,422,400" in out
    assert "12,443,648" in out
    assert "9.68 times fewer" in out
    run("--inception", "--json")
    assert json.loads(capsys.readouterr().out) == inception_costs()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet51",), "unknown network 'resnet51'"),
        (("resnet50", "--input", "3x0x224"), "--input is '3x0x224', expected channels, height"),
        (("resnet50", "--input", "224x224"), "as in 3x224x224"),
        (("resnet20", "--input", "3x999999x999999"), "3x999999x999999 are beyond the memory"),
        ((), "count needs a NETWORK"),
        (("googlenet", "--stem", "cifar"), "googlenet has no option 'stem'"),
    ],
)
def test_command_refuses(arguments, words):
    with pytest.raises(ModelError, match=words):
        run(*arguments)
