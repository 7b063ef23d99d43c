"""`predict --heatmap`: the picture with its map at its side."""

import json
import os

import numpy as np
import paddle
import pytest
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.data import load_cifar10
from paddle_resnet.evaluation.class_activation import heatmap
from paddle_resnet.models import create_model, load_trained
from paddle_resnet.models.trained_model import model_metadata
from paddle_resnet.pages.heat_overlay import overlay, side_by_side
from paddle_resnet.weights import save_weights


@pytest.fixture
def picture(tmp_path):
    pixels = load_cifar10("sample").test_images[3]
    path = tmp_path / "ship.png"
    Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    return path, pixels


def test_writes_the_picture_and_its_map(picture, tmp_path, capsys):
    path, pixels = picture
    folder = tmp_path / "maps" / "inner"
    assert main(["predict", str(path), "--json", "--heatmap", str(folder)]) == 0
    line = json.loads(capsys.readouterr().out)
    written = folder / "ship.heatmap.png"
    assert line["heatmap"] == str(written)
    found = np.asarray(Image.open(written))
    assert found.shape == (224, 224 + 8 + 224, 3)
    # Left: every pixel of the image, seven times enlarged.
    assert np.array_equal(found[3::7, 3:224:7], pixels.transpose(1, 2, 0))
    # Right: coloured where the first answer's map is hot, grey where it is cold.
    trained = load_trained("resnet20")
    images = (pixels[None] / 255 - np.reshape(trained.mean, (1, 3, 1, 1))) / np.reshape(
        trained.std, (1, 3, 1, 1)
    )
    target = trained.classes.index(line["top"][0]["class"])
    map_ = heatmap(trained.network, images.astype(np.float32), target=target)[0]
    color = found[3::7, 232 + 3 :: 7].astype(int)
    spread = color.max(-1) - color.min(-1)
    assert spread[map_ > 0.9].min() > 20
    assert (map_ == 0).sum() == 0 or spread[map_ == 0].max() <= 2


def test_images_of_one_name_do_not_overwrite_each_other(picture, tmp_path, capsys):
    path, _ = picture
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.png").write_bytes(path.read_bytes())
    out = tmp_path / "maps"
    assert main(["predict", str(tmp_path / "a"), str(tmp_path / "b"), "--heatmap", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"same.heatmap.png", "same-2.heatmap.png"}
    assert "same-2.heatmap.png" in capsys.readouterr().out


def test_a_photo_of_another_network(tmp_path, capsys):
    paddle.seed(0)
    network = create_model("resnet18", num_classes=2)
    facts = model_metadata(
        "resnet18", {"num_classes": 2}, ["cat", "dog"], None, None, [3, 224, 224]
    )
    save_weights(network, tmp_path / "w.safetensors", facts)
    photo = np.random.RandomState(0).randint(0, 256, (300, 260, 3)).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    arguments = ["predict", str(tmp_path / "w.safetensors"), str(tmp_path / "photo.jpg")]
    assert main([*arguments, "--heatmap", str(tmp_path)]) == 0
    assert Image.open(tmp_path / "photo.heatmap.png").size == (456, 224)


def test_a_file_that_is_no_picture(picture, tmp_path, capsys):
    (tmp_path / "notes.png").write_text("no picture")
    out = tmp_path / "maps"
    code = main(["predict", str(tmp_path / "notes.png"), str(picture[0]), "--heatmap", str(out)])
    assert code == 2
    error = capsys.readouterr().err
    assert "notes.png" in error
    assert [p.name for p in out.iterdir()] == ["ship.heatmap.png"]


def test_a_folder_that_cannot_be_made(picture, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["predict", str(picture[0]), "--heatmap", str(tmp_path / "file" / "maps")]) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_heat_maps_among_the_images_are_left_out(picture, tmp_path, capsys):
    for _ in range(2):
        assert main(["predict", str(tmp_path), "--top", "1", "--heatmap", str(tmp_path)]) == 0
    assert "(*.heatmap.png) left out: 1." in capsys.readouterr().err
    assert {p.name for p in tmp_path.glob("*.png")} == {"ship.png", "ship.heatmap.png"}
    # Named, it is an image like others.
    assert main(["predict", str(tmp_path / "ship.heatmap.png"), "--top", "1"]) == 0
    assert "ship.heatmap.png: " in capsys.readouterr().out


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files(picture, capsys):
    assert main(["predict", str(picture[0]), "--heatmap", "/proc/self"]) == 2
    assert "error: the heat map '/proc/self/ship.heatmap.png' cannot be" in capsys.readouterr().err


def test_no_folder(picture, capsys):
    assert main(["predict", str(picture[0]), "--heatmap", ""]) == 2
    assert "--heatmap is empty, expected a folder" in capsys.readouterr().err


def _weights(path, name, classes, **options):
    paddle.seed(0)
    options = {"num_classes": len(classes), "stem": "cifar", **options}
    network = create_model(name, **options)
    facts = model_metadata(name, options, classes, None, None, [3, 32, 32])
    save_weights(network, path, facts)
    return path


def test_a_network_without_classes(picture, tmp_path, capsys):
    weights = _weights(tmp_path / "w.safetensors", "resnet18", [])
    assert main(["predict", str(weights), str(picture[0]), "--heatmap", str(tmp_path)]) == 2
    assert "has no classes (num_classes=0)" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.heatmap.png"))


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_channels_last_is_the_same_network(picture, tmp_path, capsys, tta):
    answers, pictures = [], []
    for layout in ("NCHW", "NHWC"):
        folder = tmp_path / layout
        folder.mkdir()
        classes = ["a", "b", "c"]
        weights = _weights(folder / "w.safetensors", "resnet18", classes, data_format=layout)
        command = ["predict", str(weights), str(picture[0]), "--json", "--tta", tta]
        assert main([*command, "--heatmap", str(folder)]) == 0
        top = json.loads(capsys.readouterr().out)["top"]
        answers.append({one["class"]: one["probability"] for one in top})
        pictures.append(np.asarray(Image.open(folder / "ship.heatmap.png")).astype(int))
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)
    assert np.abs(pictures[0] - pictures[1]).max() <= 4


def test_overlay_leaves_cold_places_grey():
    pixels = np.full((4, 4, 3), (200, 100, 0), np.uint8)
    shares = np.zeros((4, 4))
    shares[0, 0] = 1
    found = overlay(pixels, shares)
    assert found[3, 3].tolist() == [100, 100, 100]
    assert found[0, 0, 0] > found[0, 0, 2] + 20


def test_grey_images_and_large_ones_keep_their_size():
    grey = np.zeros((1, 300, 200), np.uint8)
    assert side_by_side(grey, np.zeros((300, 200), np.float32)).shape == (300, 408, 3)
