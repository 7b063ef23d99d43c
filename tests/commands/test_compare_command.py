"""`paddle-resnet compare` as a user meets it."""

import json

import pytest

from paddle_resnet import create_model
from paddle_resnet.cli import main
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, CLASSES
from paddle_resnet.models.trained_model import model_metadata
from paddle_resnet.weights import save_weights


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights files of two small networks, a plain one and a residual one."""
    folder, options = tmp_path_factory.mktemp("trained"), {"widths": [4, 8, 8]}
    facts = (list(CLASSES), list(CIFAR10_MEAN), list(CIFAR10_STD), [3, 32, 32])
    paths = []
    for name in ("plain20", "resnet20"):
        paths.append(str(folder / f"{name}.safetensors"))
        network = create_model(name, **options)
        save_weights(network, paths[-1], model_metadata(name, options, *facts))
    return paths


@pytest.mark.usefixtures("warm_children")
def test_a_plain_network_beside_a_residual_one(trained, tmp_path, capsys):
    """Equal names of weights, different functions: the comparison must see it."""
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    line = ["compare", *trained, "--data", "sample", "--batch-size", "4"]
    line += ["--steps", "2", "--rounds", "1", "--train", "1s"]
    assert main([*line, "--json", str(figures), "--html", str(page)]) == 0
    captured = capsys.readouterr()
    found = json.loads(figures.read_text())
    parameters = found["counts"]["a"]["parameters"]
    assert parameters == found["counts"]["b"]["parameters"]
    assert list(found["counts"]["a"]["macs"]) == ["32"]
    assert found["keys"]["agree"]
    agreement = found["agreement"]
    for told in (agreement["plain"], agreement["operator"] or agreement["plain"]):
        assert told["logits_train"]["max_abs"] > 0.01
        assert told["gradients"]["relative"] > 0.01
        assert told["curve"]["max_abs"] > 1e-3
    assert agreement["noise"]["logits_train"]["max_abs"] < 1e-4
    assert found["curve"]["first"] > 1e-3
    for side in ("a", "b"):
        told = found["training"][side]
        # To the nearest whole step, and the first one is slow.
        assert 0.5 < told["seconds"] < 6
        assert told["test"]["images"] == 500
    assert f"{parameters:,}" in captured.out
    assert "test accuracy" in captured.out
    assert "training in turns, 1 s each" in captured.err
    rounds = [line for line in captured.err.splitlines() if "round 1 of 1: loss" in line]
    assert ["plain20" in line for line in rounds] == [True, False]
    assert "<h1" in page.read_text()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("resnet51",), "Did you mean"),
        (("resnet50", "--stem", "cifra"), "invalid choice"),
        (("resnet50", "--html", "/nowhere/at/all/page.html"), "there is no folder for"),
        (("resnet50", "--rounds", "0"), "--rounds is 0"),
        (("resnet50", "--train", "0s"), "--train is '0s', expected a duration such as 90s or 5m."),
    ],
)
def test_refuses_in_a_sentence(line, words, capsys):
    try:
        code = main(["compare", *line])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("error: ")
    assert words in error
    assert "Traceback" not in error
