"""Both directions against the real torch, torchvision and timm: ``pytest -m torch -s``."""

import numpy as np
import paddle
import pytest
from kinks import decided
from torch_python import run_torch_side, torch_can_import

from paddle_resnet import ResNet, create_model, load_weights, save_weights
from paddle_resnet.data import load_cifar10
from paddle_resnet.layers import BasicBlock

pytestmark = pytest.mark.torch

TOLERANCE = 1e-4
#: Name on torch's side: name and options on ours. All residual networks of torchvision.
PAIRS = {
    **{f"resnet{depth}": (f"resnet{depth}", {}) for depth in (18, 34, 50, 101, 152)},
    **{f"resnext{name}": (f"resnext{name}", {}) for name in ("50_32x4d", "101_32x8d", "101_64x4d")},
    **{f"wide_resnet{depth}_2": (f"wide_resnet{depth}_2", {}) for depth in (50, 101)},
    "googlenet": ("googlenet", {"aux_heads": True}),
    "timm:resnet50d": ("resnet50_d", {}),
    "timm:seresnet50": ("seresnet50", {}),
    "cifar:A": ("resnet20", {}),
    "cifar:B": ("resnet20", {"shortcut": "B"}),
}


def file_name(name):
    return name.replace(":", "_")


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    """{name: (torch -> ours, ours -> torch)}, the largest difference of logits in each."""
    folder = tmp_path_factory.mktemp("agreement")
    names = [n for n in PAIRS if not n.startswith("timm:") or torch_can_import("timm")]
    run_torch_side("export", folder, *names)
    there, ours = {}, {}
    for name in names:
        model, options = PAIRS[name]
        network = create_model(model, **options)
        assert not load_weights(network, folder / f"{file_name(name)}.pth").missing
        network.eval()
        expected = np.load(folder / f"{file_name(name)}.npz")
        x = paddle.to_tensor(expected["x"])
        there[name] = largest(network(x).numpy() - expected["logits"])
        # The way back starts from weights that torch has not seen.
        for tensor in network.state_dict().values():
            tensor.set_value(tensor * paddle.uniform(tensor.shape, min=0.9, max=1.1))
        ours[name] = network(x).numpy()
        assert largest(ours[name] - expected["logits"]) > 100 * TOLERANCE
        save_weights(network, folder / f"{file_name(name)}.safetensors", format="torchvision")
    run_torch_side("check", folder, *names)
    print(f"\n{'network':18} {'torch -> ours':>14} {'ours -> torch':>14} {'largest logit':>14}")
    table = {}
    for name in names:
        back = largest(np.load(folder / f"{file_name(name)}.back.npz")["logits"] - ours[name])
        table[name] = there[name], back
        print(f"{name:18} {there[name]:14.1e} {back:14.1e} {largest(ours[name]):14.2f}")
    return table


def largest(array):
    return float(np.abs(array).max())


@pytest.mark.parametrize("name", PAIRS)
def test_logits_agree_in_both_directions(name, differences):
    if name not in differences:
        pytest.skip("timm is not installed beside torch")
    there, back = differences[name]
    assert there < TOLERANCE
    assert back < TOLERANCE


def test_a_network_trained_in_torch_makes_the_same_mistakes(tmp_path):
    data = load_cifar10(download=False)
    mean = np.float32([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1)

    def normalised(images):
        return (np.float32(images) / 255 - mean) / np.float32(0.25)

    test_x = normalised(data.test_images)
    np.savez(
        tmp_path / "cifar.npz",
        train_x=normalised(data.train_images[:10000]),
        train_y=data.train_labels[:10000].astype(np.int64),
        test_x=test_x,
        test_y=data.test_labels.astype(np.int64),
    )
    run_torch_side("train", tmp_path)
    network = ResNet((1, 1, 1), BasicBlock, 10, widths=(16, 32, 64), stem="cifar")
    print("\n", load_weights(network, tmp_path / "trained.pth"))
    network.eval()
    with paddle.no_grad():
        parts = [network(paddle.to_tensor(part)).numpy() for part in np.split(test_x, 20)]
    ours, theirs = np.concatenate(parts), np.load(tmp_path / "torch.npz")
    # Rounding may choose between two logits that are almost equal: these images do not count.
    clear = decided(ours, margin=1e-4)
    answers, answers_there = ours.argmax(1)[clear], theirs["logits"].argmax(1)[clear]
    labels = data.test_labels[clear]
    same, right, rights = (
        int((a == b).sum())
        for a, b in ((answers, answers_there), (answers, labels), (answers_there, labels))
    )
    difference = np.abs(ours - theirs["logits"]).max()
    print(f" {data.source}: right in torch {rights}, in Paddle {right}, of {len(test_x)};")
    print(f" same answer for {same} of {clear.sum()}; logits differ by at most {difference:.1e}")
    assert clear.mean() > 0.995
    assert same == clear.sum()
    assert right == rights
    assert rights > 2 * len(test_x) / 10  # it has learned something
