"""What `save_weights` writes, and who can read it."""

import numpy as np
import paddle
import pytest
from paddle.vision import models as paddle_models
from safetensors import safe_open

from paddle_resnet import BasicBlock, ResNet, create_model, load_weights, save_weights
from paddle_resnet.errors import WeightsError
from paddle_resnet.weights import open_weights, read_weights


def small_network(**options):
    options = {"num_classes": 5, "widths": (4, 8), "stem": "cifar", **options}
    return ResNet((1, 1), BasicBlock, **options)


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.safetensors", None), ("a.pdparams", None), ("a.bin", "torchvision"), ("a", "paddle")],
)
def test_every_format_comes_back(name, format, tmp_path):
    network, other = small_network(), small_network()
    report = load_weights(other, save_weights(network, tmp_path / name, format=format))
    assert not report.missing
    for key, tensor in network.state_dict().items():
        assert np.array_equal(tensor.numpy(), other.state_dict()[key].numpy()), key


def test_bfloat16_comes_back(tmp_path):
    network, other = small_network(), small_network()
    for each in (network, other):
        each.to(dtype="bfloat16")
    for name, format in (("a.safetensors", None), ("a.pdparams", None), ("b", "torchvision")):
        load_weights(other, save_weights(network, tmp_path / name, format=format))
        assert np.array_equal(other.fc.weight.numpy(), network.fc.weight.numpy())


def test_metadata_stays_with_our_files(tmp_path):
    path = save_weights(small_network(), tmp_path / "a.safetensors", {"classes": ["cat"]})
    assert read_weights(path)[1] == {"classes": ["cat"]}


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_paddle_vision_loads_our_pdparams(name, tmp_path):
    ours, theirs = create_model(name, num_classes=10), getattr(paddle_models, name)(num_classes=10)
    save_weights(ours, tmp_path / "a.pdparams")
    missing, unexpected = theirs.set_state_dict(paddle.load(str(tmp_path / "a.pdparams")))
    assert not missing
    assert not unexpected
    ours.eval()
    theirs.eval()
    x = paddle.rand([1, 3, 33, 33])
    assert float((ours(x) - theirs(x)).abs().max()) < 1e-4


def test_we_load_paddle_visions_pdparams(tmp_path):
    ours, theirs = create_model("resnet18", num_classes=9), paddle_models.resnet18(num_classes=9)
    for protocol in (2, 4):
        paddle.save(theirs.state_dict(), str(tmp_path / "a.pdparams"), protocol=protocol)
        report = load_weights(ours, tmp_path / "a.pdparams")
        assert not report.missing
        assert (report.format, report.origin) == ("paddle", "paddle")
        assert np.array_equal(ours.fc.weight.numpy(), theirs.fc.weight.numpy())


def test_we_load_checkpoints_that_paddle_saved_whole(tmp_path):
    """`paddle.save` writes the tensors of nested dicts in another way: (name, array)."""
    network, other = small_network(), small_network()
    for protocol in (2, 4):
        state = {"model": network.state_dict(), "epoch": 3, "lr": 0.1}
        paddle.save(state, str(tmp_path / "a.pdparams"), protocol=protocol)
        report = load_weights(other, tmp_path / "a.pdparams")
        assert "taken from its entry 'model'" in report.notes
        assert np.array_equal(other.fc.weight.numpy(), network.fc.weight.numpy())


def test_pdparams_name_what_every_numpy_knows(tmp_path):
    path = save_weights(small_network(), tmp_path / "a.pdparams")
    assert b"numpy._core" not in path.read_bytes()


def test_data_parallel_networks(tmp_path):
    network, other = small_network(), small_network()
    path = save_weights(paddle.DataParallel(network), tmp_path / "a", format="torchvision")
    load_weights(paddle.DataParallel(other), path)
    assert np.array_equal(other.fc.weight.numpy(), network.fc.weight.numpy())


def test_optimizer_files_are_no_weights(tmp_path):
    network = small_network()
    optimizer = paddle.optimizer.Adam(parameters=network.parameters())
    network(paddle.rand([2, 3, 8, 8])).sum().backward()
    optimizer.step()
    paddle.save(optimizer.state_dict(), str(tmp_path / "a.pdopt"))
    with pytest.raises(WeightsError, match="made for another network"):
        load_weights(network, tmp_path / "a.pdopt")


def test_torchvisions_names_and_layouts(tmp_path):
    network = small_network()
    path = save_weights(network, tmp_path / "a.safetensors", format="torchvision")
    arrays = open_weights(path).arrays
    assert arrays["fc.weight"].shape == (5, 8)
    assert arrays["bn1.num_batches_tracked"].dtype == np.int64
    assert arrays["bn1.num_batches_tracked"].shape == ()
    assert "layer2.0.downsample.1.running_var" in arrays
    assert not any(
        name.endswith(("_mean", "_variance")) and "running" not in name for name in arrays
    )
    with safe_open(str(path), "np") as file:
        assert file.metadata() == {"format": "pt"}


def test_auxiliary_heads_may_stay_behind(tmp_path):
    with_heads = create_model("googlenet", num_classes=10, aux_heads=True)
    path = save_weights(with_heads, tmp_path / "a.safetensors", format="torchvision")
    report = load_weights(create_model("googlenet", num_classes=10), path)
    assert "an auxiliary head" in report.skipped["aux1.fc1.weight"]
    assert not report.missing


def test_an_unknown_format_is_a_sentence(tmp_path):
    network = small_network()
    with pytest.raises(WeightsError, match=r"'a.pth' does not say what format to write"):
        save_weights(network, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"unknown format 'torch'.*'torchvision'"):
        save_weights(network, tmp_path / "a.pth", format="torch")
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_is_noticed(tmp_path):
    path = save_weights(paddle.nn.Linear(2, 3), tmp_path / "w.safetensors", {"a": 1})
    content = bytearray(path.read_bytes())
    content[-3] ^= 16
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="its checksum is wrong"):
        read_weights(path)
