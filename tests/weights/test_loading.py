"""What `load_weights` accepts, what it refuses, and in what words."""

import numpy as np
import paddle
import pytest
from paddle import nn
from safetensors.numpy import save_file

from paddle_resnet import BasicBlock, ResNet, load_weights, save_weights
from paddle_resnet.errors import WeightsError
from paddle_resnet.weights.save_load import assign_weights


def small_network(**options):
    options = {"num_classes": 5, "widths": (4, 8), "stem": "cifar", **options}
    return ResNet((1, 1), BasicBlock, **options)


def arrays_of(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.values(), other.values()))


@pytest.fixture
def saved(tmp_path):
    """A network, and the path of its file."""
    network = small_network()
    return network, save_weights(network, tmp_path / "a.safetensors")


def test_strict_means_all_or_nothing(saved):
    _, path = saved
    other = small_network(num_classes=7)
    before = arrays_of(other)
    with pytest.raises(WeightsError, match=r"'fc.weight' has shape \[8, 5\], expected \[8, 7\]"):
        load_weights(other, path)
    assert same(before, arrays_of(other))


def test_the_refusal_of_a_head_names_the_way_out(saved):
    with pytest.raises(WeightsError, match="say new_head=True"):
        load_weights(small_network(num_classes=7), saved[1])
    with pytest.raises(WeightsError) as error:
        load_weights(small_network(num_classes=7, widths=(8, 16)), saved[1])
    assert "new_head" not in str(error.value)


def test_new_head_keeps_the_backbone(saved):
    network, path = saved
    other = small_network(num_classes=7)
    head = other.fc.weight.numpy()
    report = load_weights(other, path, new_head=True)
    assert report.missing == ["fc.weight", "fc.bias"]
    assert "expected [8, 7]" in report.skipped["fc.weight"]
    assert np.array_equal(other.fc.weight.numpy(), head)
    assert same(
        {n: a for n, a in arrays_of(other).items() if not n.startswith("fc.")},
        {n: a for n, a in arrays_of(network).items() if not n.startswith("fc.")},
    )


def test_new_head_still_refuses_another_backbone(saved):
    with pytest.raises(WeightsError, match="made for another network"):
        load_weights(small_network(widths=(8, 16)), saved[1], new_head=True)


def test_a_network_without_a_head_takes_the_backbone(saved):
    headless = small_network(num_classes=0)
    report = load_weights(headless, saved[1], new_head=True)
    assert not report.missing
    assert set(report.skipped) == {"fc.weight", "fc.bias"}


def test_not_strict_loads_what_fits(saved):
    network, path = saved
    other = ResNet((1, 2), BasicBlock, 5, widths=(4, 8), stem="cifar")
    report = load_weights(other, path, strict=False)
    assert all(name.startswith("layer2.1.") for name in report.missing)
    assert "kept     layer2.1.conv1.weight" in str(report)
    assert np.array_equal(other.fc.weight.numpy(), network.fc.weight.numpy())


def test_nothing_in_common_is_refused_even_then(tmp_path):
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"made for another network: 'conv1.weight' is missing"):
        load_weights(small_network(), tmp_path / "x.safetensors", strict=False)


def test_unknown_names_come_with_the_nearest(saved, tmp_path):
    arrays = arrays_of(saved[0])
    arrays["layer1.0.conv9.weight"] = arrays.pop("layer1.0.conv1.weight")
    save_file(arrays, tmp_path / "x.safetensors")
    with pytest.raises(
        WeightsError, match=r"'layer1.0.conv9.weight' is unknown \(nearest: 'layer1.0.conv"
    ):
        load_weights(saved[0], tmp_path / "x.safetensors")


def test_two_entries_for_one_place_are_refused(saved, tmp_path):
    arrays = arrays_of(saved[0])
    arrays["module.fc.bias"] = arrays["fc.bias"]
    save_file(arrays, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"is a second 'fc.bias'"):
        load_weights(saved[0], tmp_path / "x.safetensors")


def test_whole_numbers_are_no_weights(saved, tmp_path):
    arrays = {n: a.astype(np.int8) for n, a in arrays_of(saved[0]).items()}
    save_file(arrays, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="holds int8, expected float32"):
        load_weights(saved[0], tmp_path / "x.safetensors")


def test_nan_is_noted(saved, tmp_path):
    arrays = arrays_of(saved[0])
    arrays["fc.bias"] = arrays["fc.bias"] * np.float32("nan")
    save_file(arrays, tmp_path / "x.safetensors")
    report = load_weights(saved[0], tmp_path / "x.safetensors")
    assert "1 arrays hold NaN or infinity, such as 'fc.bias'" in report.notes


@pytest.mark.parametrize("channels", [1, 4])
def test_the_first_convolution_adapts_on_request(saved, channels):
    network, path = saved
    other = small_network(in_channels=channels)
    with pytest.raises(WeightsError, match=r"'conv1.weight' has shape"):
        load_weights(other, path)
    report = load_weights(other, path, adapt_input=True)
    assert f"'conv1.weight' went from 3 to {channels} channels" in report.notes
    if channels == 1:
        grey = paddle.rand([2, 1, 8, 8])
        network.eval()
        other.eval()
        difference = network(paddle.concat([grey] * 3, 1)) - other(grey)
        assert float(difference.abs().max()) < 1e-5


class Square(nn.Layer):
    """A linear layer whose weight's shape does not tell which way it lies."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.bn = nn.BatchNorm1D(4)


def test_square_weights_follow_the_origin(tmp_path):
    network, weight = Square(), np.arange(16, dtype=np.float32).reshape(4, 4)
    rest = {"fc.bias": np.zeros(4, np.float32), "bn.weight": np.ones(4, np.float32)}
    rest["bn.bias"] = rest["fc.bias"]
    for mean, variance, expected in (
        ("running_mean", "running_var", weight.T),
        ("_mean", "_variance", weight),
    ):
        statistics = {f"bn.{mean}": rest["fc.bias"], f"bn.{variance}": rest["bn.weight"]}
        save_file({"fc.weight": weight, **rest, **statistics}, tmp_path / "x.safetensors")
        load_weights(network, tmp_path / "x.safetensors")
        assert np.array_equal(network.fc.weight.numpy(), expected)


def test_square_weights_of_nobody_are_asked_about(tmp_path):
    network = nn.Linear(4, 4)
    weight = np.arange(16, dtype=np.float32).reshape(4, 4)
    arrays = {"weight": weight, "bias": np.zeros(4, np.float32)}
    save_file(arrays, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="is square: say origin='torch'"):
        load_weights(network, tmp_path / "x.safetensors")
    load_weights(network, tmp_path / "x.safetensors", origin="torch")
    assert np.array_equal(network.weight.numpy(), weight.T)
    with pytest.raises(WeightsError, match="unknown origin 'keras'"):
        load_weights(network, tmp_path / "x.safetensors", origin="keras")
    save_file(arrays, tmp_path / "x.safetensors", {"format": "pt"})
    load_weights(network, tmp_path / "x.safetensors")
    assert np.array_equal(network.weight.numpy(), weight.T)


def test_linear_layers_and_1x1_convolutions_are_one(tmp_path):
    """A squeeze-and-excitation gate is written either way."""
    weight = np.random.rand(2, 6).astype(np.float32)
    save_file({"weight": weight, "bias": np.zeros(2, np.float32)}, tmp_path / "x.safetensors")
    conv = nn.Conv2D(6, 2, 1)
    load_weights(conv, tmp_path / "x.safetensors", origin="torch")
    assert np.array_equal(conv.weight.numpy()[:, :, 0, 0], weight)
    save_file(
        {"weight": weight[:, :, None, None], "bias": np.zeros(2, np.float32)},
        tmp_path / "x.safetensors",
    )
    linear = nn.Linear(6, 2)
    load_weights(linear, tmp_path / "x.safetensors")
    assert np.array_equal(linear.weight.numpy(), weight.T)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no weights file '.*nowhere.pth'"):
        load_weights(small_network(), tmp_path / "nowhere.pth")


def test_assign_takes_own_names_only(saved):
    network, _ = saved
    arrays = arrays_of(network)
    assign_weights(small_network(), arrays, "x")
    arrays["module.fc.bias"] = arrays.pop("fc.bias")
    with pytest.raises(WeightsError, match=r"'fc.bias' is missing; 'module.fc.bias' is unknown"):
        assign_weights(network, arrays, "x")
