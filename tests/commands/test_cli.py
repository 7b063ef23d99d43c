"""The command line as a user meets it."""

import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from paddle_resnet.cli import COMMANDS, main
from paddle_resnet.data import load_cifar10
from paddle_resnet.models import create_model
from paddle_resnet.models.trained_model import model_metadata
from paddle_resnet.weights import save_weights

ROOT = Path(__file__).parents[2]


def refused(capsys, *line):
    """Run a command line that must fail with one sentence, and return the sentence."""
    try:
        code = main(line)
    except SystemExit as stop:
        code = stop.code
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("error: ")
    assert "Traceback" not in err
    return err


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of an untrained network: quick, and good enough for what a CLI does."""
    options = {"num_classes": 10, "widths": [8, 8, 16, 16]}
    data = load_cifar10("sample")
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    metadata = model_metadata("resnet18", options, list(data.classes), None, None, [3, 32, 32])
    save_weights(create_model("resnet18", **options), path, metadata)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for index, image in enumerate(load_cifar10("sample").test_images[:2]):
        Image.fromarray(image.transpose(1, 2, 0)).resize((64, 48)).save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"paddle-resnet {command}" in out.split("examples:")[1]


def test_help_names_every_command_and_needs_no_paddle():
    code = "import sys; sys.modules['paddle'] = None; from paddle_resnet.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)


def test_unknown_commands_and_choices(capsys):
    assert "Did you mean 'train'?" in refused(capsys, "trian")
    assert "COMMAND" in refused(capsys)
    assert "cifar10" in refused(capsys, "data", "mnist")
    assert "quickstart" in refused(capsys, "train", "-c", "quickstrat")
    assert "unrecognized" in refused(capsys, "models", "--nonsense")


def test_show_prints_the_resolved_recipe(capsys):
    assert main(["train", "-c", "quickstart", "-o", "optimizer.lr=0.125", "--show"]) == 0
    assert "lr: 0.125" in capsys.readouterr().out


def test_show_ends_with_the_rates_of_the_training(capsys):
    line = ["train", "--show"]
    for override in (
        *("optimizer.lr=0.2", "schedule.warmup=0.2", "schedule.name=cosine"),
        *("optimizer.lr_multipliers={conv1: 0.1, .bias: 2}", "optimizer.layer_decay=0.5"),
    ):
        line += ["-o", override]
    assert main(line) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["optimizer"]["lr"] == 0.2  # a recipe all the same
    rates, multipliers = text.splitlines()[-2:]
    found = {int(percent): float(rate) for rate, percent in re.findall(r"(\S+) at (\d+)%", rates)}
    assert list(found) == [0, 20, 25, 50, 75, 100]
    for percent in (20, 25, 50, 75, 100):
        angle = math.pi * (percent / 100 - 0.2) / 0.8
        assert found[percent] == pytest.approx(0.1 * (1 + math.cos(angle)), rel=1e-3, abs=1e-9)
    assert multipliers == "# multipliers: conv1 0.1, .bias 2, each block 0.5 of the next one's"


@pytest.mark.parametrize("tool", sorted(p.name for p in (ROOT / "tools").glob("*.py")))
def test_tools_run_from_anywhere(tool, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_predict_names_classes_and_probabilities(weights, pictures, capsys):
    assert main(["predict", str(weights), str(pictures), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["0.png", "1.png"]
    for line in lines:
        chances = [answer["probability"] for answer in line["top"]]
        assert len(chances) == 5
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) <= 1.0001


def test_predict_goes_on_after_a_file_that_is_no_image(weights, pictures, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    assert main(["predict", str(weights), str(bad), str(pictures / "0.png")]) == 2
    captured = capsys.readouterr()
    assert "bad.png" in captured.err
    assert "0.png: " in captured.out


def test_predict_refuses_what_it_cannot_use(weights, pictures, tmp_path, capsys):
    image = str(pictures / "0.png")
    assert "there is no image" in refused(capsys, "predict", str(weights), "nothing.png")
    assert "no run folder or weights" in refused(capsys, "predict", "nothing", image)
    assert "holds no best" in refused(capsys, "predict", str(tmp_path), image)
    assert "--top" in refused(capsys, "predict", str(weights), image, "--top", "0")
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(weights.read_bytes()[:-10])
    assert "torn.safetensors" in refused(capsys, "predict", str(torn), image)


def test_predict_refuses_an_empty_path(weights, pictures, capsys):
    """As of an unset variable of a shell: it would be the current folder."""
    assert "a path is empty" in refused(capsys, "predict", "")
    assert "a path is empty" in refused(capsys, "predict", str(weights), "")


def test_corrupt_exif_is_no_place_in_pillows_source(weights, tmp_path, recwarn):
    exif = b"Exif\0\0MM\0*" + b"\xff" * 4 + bytes(16)
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(photo, "JPEG")
    jpeg = photo.getvalue()
    length = (len(exif) + 2).to_bytes(2, "big")
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + length + exif + jpeg[2:])
    assert main(["predict", str(weights), str(tmp_path / "a.jpg")]) == 0
    assert not [warning for warning in recwarn if "EXIF" in str(warning.message)]


def test_weights_that_do_not_say_what_they_are(tmp_path, pictures, capsys):
    path = tmp_path / "w.safetensors"
    save_weights(create_model("resnet18", widths=[8, 8, 8, 8]), path)
    sentence = refused(capsys, "predict", str(path), str(pictures / "0.png"))
    assert "does not say what network it holds" in sentence


def test_weights_of_another_shape(tmp_path, pictures, weights, capsys):
    path = tmp_path / "w.safetensors"
    metadata = model_metadata("resnet18", {"num_classes": 3}, ["a"] * 3, None, None, [3, 32, 32])
    save_weights(create_model("resnet18", num_classes=4), path, metadata)
    assert "fc." in refused(capsys, "predict", str(path), str(pictures / "0.png"))


def test_evaluate(weights, capsys):
    assert main(["evaluate", str(weights), "--data", "sample"]) == 0
    assert "on 500 test images (of the bundled sample)" in capsys.readouterr().out


def test_models(capsys):
    assert main(["models", "resnet5*"]) == 0
    assert "resnet50" in capsys.readouterr().out.split()
    assert "matches" in refused(capsys, "models", "vgg*")


def test_doctor(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    import paddle

    assert facts["Paddle"] == paddle.__version__
    assert {"CPU", "cores", "threads", "memory", "CIFAR-10"} <= set(facts)
    assert main(["doctor"]) == 0
    assert paddle.__version__ in capsys.readouterr().out


def test_report_of_no_run(tmp_path, capsys):
    refused(capsys, "report", str(tmp_path))


def test_data_folder_looks_at_photos(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "cache"))
    for name, count in (("cat", 4), ("dog", 2)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            path = tmp_path / "photos" / name / f"{number}.png"
            Image.new("RGB", (8, 8), (count, number, 0)).save(path)
    line = ["data", "folder", str(tmp_path / "photos")]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert "6 images of 2 classes" in out
    assert "imbalance: 'cat' has 4 training images, 'dog' 2: 2.0 times as many." in out
    (tmp_path / "photos" / "dog" / "0.png").write_bytes(b"")
    assert main([*line, "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["images"] == {"train": [4, 2]}
    assert "0.png' is no image" in report["corrupt"][0]
    assert main(["data", "folder"]) == 2
    assert "name the folder" in capsys.readouterr().err
    assert main(["data", "cifar10", "somewhere"]) == 2
    assert "did you mean --from somewhere?" in capsys.readouterr().err
