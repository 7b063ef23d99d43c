"""Every network of the registry is exported and answers as itself.

As a command it prints a row for each: `python tests/deploy/test_all_networks.py [NAME ...]`.
"""

import importlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import paddle
import pytest
from export_helpers import network_logits

from paddle_resnet import Predictor, create_model, export, list_models

# The package has classes by these names.
googlenet, nin = (
    importlib.import_module(f"paddle_resnet.models.{name}") for name in ("googlenet", "nin")
)
#: One of each family, thin where its width can be chosen: the operators do not depend on it. Each
#: network as it is, is slow; test_export.py has resnet20 in both formats.
THIN = {"widths": [8, 16, 24, 32]}
SOME = ("preact_resnet18", "seresnet50", "resnet18_keras")
#: The same for networks whose widths are those of a paper.
THIN_STAGES = ((5, 24, 20, 12), (5, 24, 24, 24), (3, 24, 24))
THIN_MODULES = {place: [s // 8 for s in sizes] for place, sizes in googlenet.MODULES.items()}
THIN_MODULES["3a"][0] = googlenet.MODULES["3a"][0]  # what the stem makes
THIN_MODULES["5b"][1:] = googlenet.MODULES["5b"][1:]  # what the head takes
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
#: Small images; the ImageNet stem divides by 32.
SIZE = 64


def exported(name, folder, format="onnx", **options):
    """Export a network with random weights and statistics; return it and the exported file."""
    paddle.seed(0)
    network = create_model(name, num_classes=7, **options)
    rng = np.random.RandomState(0)
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):  # as after a training
            shape = layer._mean.shape
            layer._mean.set_value(rng.randn(*shape).astype("float32") * 0.1)
            layer._variance.set_value(rng.uniform(0.5, 1.5, shape).astype("float32"))
    facts = {"classes": list("abcdefg"), "input_shape": [3, SIZE, SIZE], "mean": MEAN, "std": STD}
    result = export(network, folder, format=format, log=lambda line: None, model=name, **facts)
    return network, result.path


def difference(network, path):
    """The largest difference of a logit as a fraction of the largest logit."""
    images = np.random.RandomState(1).randint(0, 256, (4, 3, SIZE, SIZE)).astype(np.uint8)
    expected = network_logits(network, images, MEAN, STD)
    logits = Predictor(path).logits(images)
    if path.is_dir():
        # Softmax keeps logits up to a constant; Paddle's clips at exp(-64).
        expected = paddle.nn.functional.log_softmax(paddle.to_tensor(expected), 1).numpy()
        expected = np.maximum(expected, np.log(1e-27))
        expected -= expected.mean(1, keepdims=True)
    return float(np.abs(logits - expected).max() / np.abs(expected).max())


@pytest.mark.usefixtures("onnx_extra")
@pytest.mark.parametrize("name", SOME)
def test_onnx_of_each_family(name, tmp_path):
    assert difference(*exported(name, tmp_path / "out", **THIN)) < 1e-4


@pytest.mark.usefixtures("onnx_extra")
def test_onnx_of_network_in_network(tmp_path, monkeypatch):
    monkeypatch.setattr(nin, "STAGES", THIN_STAGES)
    assert difference(*exported("nin", tmp_path / "out")) < 1e-4


def test_paddle_of_googlenet(tmp_path, monkeypatch):
    monkeypatch.setattr(googlenet, "MODULES", THIN_MODULES)
    assert difference(*exported("googlenet", tmp_path / "out", "paddle")) < 1e-4


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_extra")
@pytest.mark.parametrize("name", list_models())
def test_onnx(name, tmp_path):
    assert difference(*exported(name, tmp_path / "out")) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_paddle(name, tmp_path):
    assert difference(*exported(name, tmp_path / "out", "paddle")) < 1e-4


ALONE = (
    {"act": "gelu"},
    {"act": "silu"},
    {"act": paddle.nn.PReLU},
    {"padding": "same", "conv_bias": True},
    {"shortcut": "D", "stem": "deep", "dropout": 0.5},
    {"widths": [4, 16, 96], "shortcut": "A"},
)


@pytest.mark.usefixtures("onnx_extra")
@pytest.mark.parametrize(
    "options",
    [
        *({**options, **others} for options, others in zip(ALONE[:3], ALONE[3:])),
        *(pytest.param(options, marks=pytest.mark.slow) for options in ALONE),
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_options_with_other_operators(options, tmp_path):
    base = {"layers": (1, 1, 1), "widths": [8, 8, 16], "block": "basic"}
    assert difference(*exported("resnet18", tmp_path / "out", **{**base, **options})) < 1e-4


class SteepLeakyReLU(paddle.nn.LeakyReLU):
    def __init__(self):
        super().__init__(0.3)


def group_norm(channels, **options):
    return paddle.nn.GroupNorm(4, channels, **options)


@pytest.mark.usefixtures("onnx_extra")
@pytest.mark.parametrize("format", ["onnx", "paddle"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"act": "leaky_relu"}),
        ("resnet18", {"act": SteepLeakyReLU, "norm_layer": group_norm}),
        pytest.param("resnet18", {"act": SteepLeakyReLU}, marks=pytest.mark.slow),
        pytest.param("resnet18", {"norm_layer": group_norm}, marks=pytest.mark.slow),
        pytest.param("resnet18", {"data_format": "NHWC"}, marks=pytest.mark.slow),
        (
            "resnet18",
            {"data_format": "NHWC", "norm_layer": group_norm, "act": "leaky_relu", "shortcut": "A"},
        ),
        pytest.param("googlenet", {"data_format": "NHWC"}, marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else value,
)
def test_what_the_converter_gets_wrong_is_exported_otherwise(name, options, format, tmp_path):
    small = {"layers": (1, 1, 1), "widths": [8, 8, 16], "block": "basic"}
    small = small if name == "resnet18" else {}
    network, path = exported(name, tmp_path / "out", format, **{**small, **options})
    assert difference(network, path) < 1e-4
    assert network.data_format == options.get("data_format", "NCHW")  # itself is not changed


if __name__ == "__main__":
    for each in sys.argv[1:] or list_models():
        row = [f"{each:<24}"]
        for kind in ("onnx", "paddle"):
            with tempfile.TemporaryDirectory() as made:
                began = time.process_time()
                try:
                    network, file = exported(each, Path(made) / "out", kind)
                    row.append(f"{difference(network, file):.1e}")
                    if kind == "onnx":
                        import onnx

                        kinds = {n.op_type for n in onnx.load(file).graph.node}
                        row.append(f"{file.stat().st_size:>11,}")
                except Exception as error:
                    row.append(f"{type(error).__name__}: {error}"[:150])
                row.append(f"{time.process_time() - began:5.1f} s")
        print("  ".join(row), " ".join(sorted(kinds)), flush=True)
