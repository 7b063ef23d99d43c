"""Genuine files of torch 2.14, kept in `fixtures` (made by ``torch_side.py fixtures``)."""

from pathlib import Path

import numpy as np
import paddle
import pytest

from paddle_resnet import BasicBlock, ResNet
from paddle_resnet.errors import WeightsError
from paddle_resnet.weights import load_weights, open_weights

FIXTURES = Path(__file__).with_name("fixtures")


def small_network(**options):
    """The Paddle twin of the fixtures' network."""
    options = {"num_classes": 10, "widths": (4, 8), "stem": "cifar", **options}
    return ResNet((1, 1), BasicBlock, **options)


@pytest.mark.parametrize(
    ("file", "tolerance"),
    [
        ("legacy.pth", 1e-6),
        ("zip_kuangliu.pth", 1e-6),
        ("zip_views.pth", 1e-6),
        ("legacy_half.pth", 1e-3),
        ("zip_bfloat16.pth", 1e-2),
    ],
)
def test_the_network_computes_what_torch_computed(file, tolerance):
    network = small_network()
    report = load_weights(network, FIXTURES / file)
    network.eval()
    assert report.format == report.origin == "torch"
    assert not report.missing
    assert len(report.matched) == len(network.state_dict())
    expected = np.load(FIXTURES / "expected.npz")
    logits = network(paddle.to_tensor(expected["x"])).numpy()
    assert np.abs(logits - expected["logits"]).max() < tolerance


def test_the_report_says_what_was_done():
    network = small_network()
    text = str(load_weights(network, FIXTURES / "zip_views.pth"))
    assert "32 of the network's 32 arrays loaded" in text
    assert "_orig_mod.conv1.weight -> conv1.weight" in text
    assert "num_batches_tracked" in text
    assert "taken from its entry 'model_state_dict'" in text
    assert "it also has 'model_ema'" in text


def test_types_are_kept_in_reading_and_noted_in_casting():
    assert {a.dtype.name for a in open_weights(FIXTURES / "legacy_half.pth").arrays.values()} == {
        "float16",
        "int64",
    }
    report = load_weights(small_network(), FIXTURES / "legacy_half.pth")
    assert "32 arrays cast from float16 to float32" in report.notes
    report = load_weights(small_network(), FIXTURES / "zip_bfloat16.pth")
    assert "32 arrays are bfloat16 in the file, read as float32 (exact)" in report.notes


def test_a_network_of_another_type_gets_its_own():
    network = small_network()
    network.to(dtype="float64")
    report = load_weights(network, FIXTURES / "legacy.pth")
    assert "32 arrays cast from float32 to float64" in report.notes
    assert str(network.fc.weight.dtype).endswith("float64")


def test_bfloat16_networks_are_filled(tmp_path):
    network = small_network()
    network.to(dtype="bfloat16")
    load_weights(network, FIXTURES / "legacy.pth")
    expected = open_weights(FIXTURES / "legacy.pth").arrays["linear.bias"]
    got = network.fc.bias.astype("float32").numpy()
    assert np.abs(got - expected).max() < 0.01
    assert str(network.fc.bias.dtype).endswith("bfloat16")


def test_the_averaged_weights_are_chosen_by_name():
    network = small_network()
    load_weights(network, FIXTURES / "zip_views.pth", entry="model_ema")
    assert float(network.fc.bias.abs().sum()) == 0


def test_an_unknown_entry_names_the_others():
    with pytest.raises(WeightsError, match=r"no state dict 'ema', only: .*model_ema"):
        open_weights(FIXTURES / "zip_views.pth", entry="ema")


def test_a_whole_pickled_network_is_read_without_its_code():
    """Its class was in a script that is not here; one step of Adam lies behind `legacy.pth`."""
    network = small_network()
    report = load_weights(network, FIXTURES / "whole_module.pth")
    assert not report.missing
    assert any("a whole network, an object of __main__.CifarResNet" in n for n in report.notes)
    before = small_network()
    load_weights(before, FIXTURES / "legacy.pth")
    for name, tensor in network.state_dict().items():
        moved = np.abs(tensor.numpy() - before.state_dict()[name].numpy())
        # Adam's first step is the rate, 0.001, times the sign of the gradient.
        assert moved.max() == 0 if tensor.stop_gradient else 5e-4 < moved.max() < 1.01e-3, name


def test_the_extension_does_not_matter(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes((FIXTURES / "zip_kuangliu.pth").read_bytes())
    assert open_weights(path).format == "torch"
