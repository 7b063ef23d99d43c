"""What a user names as a network, beside files and folders that have a network's name."""

import json
import shutil

import pytest
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.commands import predict
from paddle_resnet.data import load_cifar10
from paddle_resnet.errors import WeightsError
from paddle_resnet.models import load_trained
from paddle_resnet.models.find_weights import BY_NAME, find_weights_file, published_name
from paddle_resnet.weights.pretrained import bundled_weights

OTHER = "write 'pretrained:resnet20'"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a picture of a cat."""
    monkeypatch.chdir(tmp_path)
    cat = load_cifar10("sample").test_images[0].transpose(1, 2, 0)
    Image.fromarray(cat).save("cat.png")
    return tmp_path


def refused(capsys, *line):
    assert main(list(line)) == 2
    err = capsys.readouterr().err.splitlines()
    assert "Traceback" not in "".join(err)
    return err[-1]


COMMANDS = [
    ["export", "resnet20"],
    ["serve", "resnet20", "--port", "0"],
    ["predict", "resnet20", "cat.png"],
    ["evaluate", "resnet20"],
    ["study", "lesion", "--model", "resnet20"],
]


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line[0])
def test_a_folder_with_the_name_of_a_network(line, here, capsys):
    (here / "resnet20").mkdir()
    sentence = refused(capsys, *line)
    assert "the folder 'resnet20' holds no best.safetensors" in sentence
    assert "expected the folder of a run" in sentence
    assert OTHER in sentence
    assert sorted(path.name for path in here.iterdir()) == ["cat.png", "resnet20"]


@pytest.mark.parametrize("line", COMMANDS[:2] + COMMANDS[3:], ids=lambda line: line[0])
def test_a_file_with_the_name_of_a_network(line, here, capsys):
    (here / "resnet20").write_bytes(b"no weights")
    sentence = refused(capsys, *line)
    assert "'resnet20'" in sentence
    assert OTHER in sentence


@pytest.mark.parametrize("line", COMMANDS[:4], ids=lambda line: line[0])
def test_a_folder_of_exported_files(line, here, capsys):
    (here / "resnet20").mkdir()
    (here / "resnet20" / "r.onnx").write_bytes(b"")
    sentence = refused(capsys, *line)
    assert "holds exported files, expected a run folder" in sentence
    assert "take 'resnet20/r.onnx'" in sentence
    assert OTHER in sentence


def test_an_exported_file_is_not_exported_again(here, capsys):
    (here / "r.onnx").write_bytes(b"")
    for line in (["export", "r.onnx"], ["benchmark", "formats", "r.onnx"]):
        assert "'r.onnx' is an exported file, expected the run folder" in refused(capsys, *line)


def test_a_run_folder_of_that_name_comes_first(here):
    (here / "resnet20").mkdir()
    shutil.copy(bundled_weights()["resnet20"], here / "resnet20" / "best.safetensors")
    assert find_weights_file("resnet20").parts[0] == "resnet20"
    assert find_weights_file("pretrained:resnet20") == bundled_weights()["resnet20"]


def test_the_networks_by_name_are_found_beside_such_a_folder(here, capsys):
    (here / "resnet20").mkdir()
    assert load_trained("pretrained:resnet20").model == "resnet20"
    # The default of `predict` is not hidden either.
    for line in (["pretrained:resnet20", "cat.png"], ["cat.png"]):
        assert main(["predict", *line, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["top"][0]["class"] == "cat"
    assert "pretrained:resnet21" in refused(capsys, "predict", "pretrained:resnet21")
    assert "no weights of 'resnet21'" in refused(
        capsys, "predict", "pretrained:resnet21", "cat.png"
    )


def test_which_names_mean_published_weights(here):
    assert published_name("resnet50") == "resnet50"
    assert published_name("pretrained:resnet50") == "resnet50"
    assert published_name("resnet20") is None
    assert published_name("resnet21") is None
    (here / "resnet50").mkdir()
    assert published_name("resnet50") is None
    assert published_name("pretrained:resnet50") == "resnet50"
    with pytest.raises(WeightsError, match="write 'pretrained:resnet50'"):
        load_trained("resnet50")


def test_the_prefix_is_written_alike():
    assert predict.BY_NAME == BY_NAME
