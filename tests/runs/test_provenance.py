"""What a run remembers of its interruptions, and what it says when it goes on as another."""

import json

import numpy as np
import pytest
from PIL import Image
from run_helpers import refused, stopping_after

from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.data.splits import load_splits
from paddle_resnet.errors import DataError
from paddle_resnet.pages.recipe_table import environment_facts
from paddle_resnet.runs.provenance import append_launch
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.training.checkpointer import Checkpointer
from paddle_resnet.training.setup.dataset_check import DatasetCheck, marks
from paddle_resnet.training.trainer import run
from paddle_resnet.weights import read_weights

RECIPE = (
    "model.name=resnet18", "model.options.widths=[8,8,16,16]", "data.name=folder",
    "data.image_size=32", "data.crop_padding=0", "train.budget=null", "train.epochs=2",
    "train.batch_size=8", "train.checkpoint_interval=1 steps", "run.visualdl=false",
    "run.report=false", "run.name=run",
)  # fmt: skip


@pytest.fixture
def photos(tmp_path, sample, monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "cache"))
    for number, pixels in enumerate(sample.train_images[:40]):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0).copy()).save(folder / f"{number:02}.png")
    return tmp_path / "photos"


def recipe(photos):
    return load_config("quickstart", (*RECIPE, f"data.root={photos}", f"run.dir={photos.parent}"))


def same_images(photos, lines):
    return DatasetCheck(load_splits(recipe(photos), notify=lambda line: None), lines.append)


def starts(folder):
    return json.loads(folder.environment.read_text())["starts"]


def test_an_interrupted_run_says_so_and_names_what_has_changed(photos, capsys):
    with stopping_after(2):
        run(recipe(photos))
    folder = RunFolder(photos.parent / "run")
    (first,) = starts(folder)
    assert (first["step"], first["checkpoint"], first["processes"]) == (0, None, 1)
    facts = json.loads(folder.environment.read_text())
    facts["starts"][0].update(threads=77, commit="0123456789")
    folder.environment.write_text(json.dumps(facts))
    victim = photos / "b" / "01.png"
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(victim)
    capsys.readouterr()
    assert main(["train", "--resume", str(folder.path)]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: 1 of the ")
    assert str(victim) in warnings[0]
    assert "instead of threads: 77" in warnings[1]
    assert "instead of commit 0123456789" in warnings[1]
    assert "Paddle" not in warnings[1]
    first, second = starts(folder)
    assert (second["step"], second["checkpoint"]) == (2, "step-00000002.safetensors")
    assert second["paddle"] == first["paddle"]
    assert "resumed after step 2" in folder.log.read_text()


@pytest.mark.parametrize("name", ["last.safetensors", "best.safetensors"])
def test_the_best_weights_are_of_a_row_of_the_history(photos, monkeypatch, name):
    """Killed when weights were written, and trained again to another end, as a budget's clock or,
    here, another validation image makes it."""

    class Died(Exception):
        pass

    def save(saver, network, path, figures):
        plain(saver, network, path, figures)
        if path.name == name and figures["epoch"] == 2:
            raise Died

    plain = Checkpointer._save_weights
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "_save_weights", save)
        with pytest.raises(Died):
            run(recipe(photos))
    files = same_images(photos, []).loaders["validation"].images.paths
    for path in files:
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path)
    folder = RunFolder(photos.parent / "run")
    best = run(recipe(photos), resume=folder).result["best"]
    rows = folder.rows(folder.history)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert best["val_loss"] == rows[best["epoch"] - 1]["val_loss"]
    assert read_weights(folder.best)[1]["reached"] == best
    assert read_weights(folder.last)[1]["reached"] == {"epoch": 2}


def test_a_run_does_not_go_on_with_more_images(photos, capsys):
    with stopping_after(2):
        run(recipe(photos))
    for number in range(10):
        image = Image.fromarray(np.full((32, 32, 3), number, np.uint8))
        image.save(photos / "b" / f"x{number}.png")
    sentence = refused(capsys, ["train", "--resume", str(photos.parent / "run")])
    assert "can only be resumed with" in sentence


def test_the_same_images_elsewhere_are_the_same(photos, tmp_path):
    lines = []
    state = same_images(photos, lines).state_dict()
    assert {key: len(value) for key, value in state.items()} == {
        "classes": 2, "training": 32, "validation": 4, "test": 4,
    }  # fmt: skip
    photos.rename(tmp_path / "moved")
    same_images(tmp_path / "moved", lines).load_state_dict(state)
    assert lines == []


def test_other_names_sizes_and_labels_are_counted_by_part(photos):
    lines = []
    before = same_images(photos, lines)
    state = before.state_dict()
    paths = before.loaders["training"].images.paths
    paths[3].write_bytes(paths[3].read_bytes() + b"\0")
    paths[5].rename(paths[5].with_name(paths[5].name.replace(".png", "x.png")))
    same_images(photos, lines).load_state_dict(state)
    assert len(lines) == 1
    assert "2 of the 32 training images are others" in lines[0]
    assert str(paths[3]) in lines[0]
    # A list may give the same file another label, or stand in another order.
    paths = before.loaders["test"].images.paths
    assert (marks(paths, np.array([0, 0, 0, 0])) != marks(paths, np.array([0, 1, 0, 0]))).sum() == 1
    state = same_images(photos, lines).state_dict()
    same_images(photos, lines).load_state_dict({**state, "test": state["test"][::-1]})
    assert "the 4 test images stand in another order" in lines[-1]


def test_other_classes_and_counts_are_refused(photos):
    state = same_images(photos, []).state_dict()
    with pytest.raises(DataError, match="the classes a, c so far, and now a, b"):
        same_images(photos, []).load_state_dict({**state, "classes": ["a", "c"]})
    with pytest.raises(DataError, match="5 test images in files so far, and now 4"):
        same_images(photos, []).load_state_dict({**state, "test": np.zeros(5, np.uint32)})


def test_the_report_tells_of_interruptions_alone(tmp_path):
    facts = {"paddle": "3.3.1", "threads": 2, "commit": "a"}
    path = tmp_path / "environment.json"
    content, warning = append_launch(path, facts, 0, None)
    assert (warning, len(content["starts"])) == (None, 1)
    assert "starts" not in {key for key, _, _ in environment_facts(content)}
    path.write_text(json.dumps(content))
    content, warning = append_launch(path, {**facts, "paddle": "2.6.2"}, 128, "step-00000128")
    assert "is resumed with Paddle 2.6.2 instead of Paddle 3.3.1: it may differ" in warning
    assert content["paddle"] == "3.3.1"
    (text,) = [text for key, _, text in environment_facts(content) if key == "starts"]
    assert text.startswith("resumed after step 128 (")


@pytest.mark.parametrize("text", [None, "", "[]", '{"starts": 3}', '{"starts": [3]}', "{"])
def test_a_damaged_environment_does_no_harm(tmp_path, text):
    path = tmp_path / "environment.json"
    if text is not None:
        path.write_text(text)
    content, warning = append_launch(path, {"paddle": "3.3.1"}, 5, "step-00000005")
    assert warning is None
    assert [start["step"] for start in content["starts"]] == [5]
