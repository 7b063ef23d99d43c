"""An environment variable that holds an unknown word is refused in its own sentence everywhere."""

import pytest

from paddle_resnet.cli import main
from paddle_resnet.data import load_cifar10
from paddle_resnet.models import create_model
from paddle_resnet.weights import save_weights

OPTIONS = {"num_classes": 10, "widths": [8, 8, 16, 16]}


@pytest.fixture
def line(request, tmp_path, monkeypatch):
    """The words of a command line, in a folder that holds ``w.safetensors`` and ``cat.png``."""
    from PIL import Image

    from paddle_resnet.models.trained_model import model_metadata

    monkeypatch.chdir(tmp_path)
    data = load_cifar10("sample")
    metadata = model_metadata("resnet18", OPTIONS, list(data.classes), None, None, [3, 32, 32])
    save_weights(create_model("resnet18", **OPTIONS), tmp_path / "w.safetensors", metadata)
    Image.new("RGB", (40, 36), "red").save("cat.png")
    return request.param.split()


@pytest.mark.parametrize(
    "line",
    [
        "train -o data.root=sample",
        "train -o data.root=sample -o model.options.widths=[8,8,16,16]",
        "train -c resnet20_cifar10_paper -o data.root=sample",
        "predict cat.png",
        "predict w.safetensors cat.png",
        "evaluate w.safetensors --data sample",
    ],
    indirect=True,
)
@pytest.mark.parametrize("word", ["foo", "on", "requires"])
def test_the_sentence_is_about_the_variable(line, word, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", word)
    code = main(line)
    said = capsys.readouterr().err
    assert code == 2
    sentence = said.splitlines()[-1]
    assert sentence.startswith(f"error: PADDLE_RESNET_KERNELS is '{word}', expected one of auto,")
    assert not (tmp_path / "runs").exists()
