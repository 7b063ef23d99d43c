"""Training on folders of photos, from the command line to the answer."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.data import load_cifar10
from paddle_resnet.data.splits import load_splits
from paddle_resnet.models import load_trained
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.weights import read_weights, save_weights

#: Three classes of real images; all of them in few colours, so that seconds suffice to learn.
CLASSES = ("bird", "frog", "ship")
QUICK = ["train.batch_size=12", "train.epochs=2", "run.visualdl=false", "run.report=false"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of the sample as files of other sizes, in a folder per class, a damaged one too."""
    root = tmp_path_factory.mktemp("data") / "my_photos"
    data = load_cifar10("sample")
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        chosen = np.flatnonzero(data.train_labels == data.classes.index(name))[:20]
        for number, index in enumerate(chosen):
            image = Image.fromarray(data.train_images[index].transpose(1, 2, 0).copy())
            size = (40 + number, 60 - number)
            image.resize(size).save(root / name / f"{number}.{'jpg' if number % 2 else 'png'}")
    (root / "frog" / "damaged.jpg").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A run on the sample: what is fine-tuned."""
    runs = tmp_path_factory.mktemp("runs")
    line = ["train", "-c", "quickstart", "-o", f"run.dir={runs}", "-o", "run.name=earlier"]
    for override in [
        "model.name=resnet18", "model.options.widths=[8,8,16,16]", "model.options.stem=cifar",
        "data.root=sample", "data.max_train_images=64", "train.budget=null", "train.epochs=1",
        "train.batch_size=16", "run.visualdl=false", "run.report=false",
    ]:  # fmt: skip
        line += ["-o", override]
    assert main(line) == 0
    return runs / "earlier"


def finetune(tmp_path, photos, *overrides, name="tuned"):
    line = ["train", "-c", "finetune", "-o", f"data.root={photos}"]
    for override in [f"run.dir={tmp_path}", f"run.name={name}", *QUICK, *overrides]:
        line += ["-o", override]
    return line


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, photos, earlier):
    folder = tmp_path_factory.mktemp("tuned")
    assert main(finetune(folder, photos, f"model.pretrained={earlier}")) == 0
    return RunFolder(folder / "tuned")


def test_one_command_fine_tunes_a_run_on_a_folder(tuned, earlier):
    result = json.loads(tuned.result.read_text())
    assert result["status"] == "finished"
    assert result["model"]["name"] == "resnet18"
    facts = result["data"]
    assert facts["classes"] == list(CLASSES)
    assert (facts["train"], facts["validation"], facts["test"]) == (49, 5, 6)
    assert facts["source"] == "the given my_photos"
    log = tuned.log.read_text()
    assert "Notice: the pretrained network is resnet18, so that is what is trained" in log
    assert "a new head for 3 classes" in log
    assert "Notice: left out: 1 corrupt image. '" in log
    assert "held out of the training images: 6 for the test, 5 for validation" in log


def test_the_resolved_recipe_is_complete(tuned):
    recipe = yaml.safe_load(tuned.config.read_text())
    assert recipe["data"]["image_size"] == 32
    assert recipe["data"]["mean"] == pytest.approx([0.4914, 0.48216, 0.44653])
    assert recipe["model"]["options"]["widths"] == [8, 8, 16, 16]


def test_the_backbone_begins_with_the_pretrained_weights_and_the_head_does_not(
    tmp_path, photos, earlier
):
    """With a rate of next to nothing the weights at the end are those at the beginning."""
    line = finetune(
        tmp_path, photos, f"model.pretrained={earlier}", "optimizer.lr=1e-30", "train.epochs=1"
    )
    assert main(line) == 0
    before, _ = read_weights(earlier / "best.safetensors")
    after, _ = read_weights(tmp_path / "tuned" / "last.safetensors")
    for name, array in before.items():
        if not name.startswith("fc.") and "_mean" not in name and "_variance" not in name:
            np.testing.assert_array_equal(after[name], array)
    assert after["fc.weight"].shape == (16, 3)


def test_what_was_tuned_can_be_evaluated_and_asked(tuned, photos, capsys):
    result = json.loads(tuned.result.read_text())["test"]
    assert main(["evaluate", str(tuned.path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["images"], again["acc_top1"]) == (6, result["acc_top1"])
    assert again["loss"] == pytest.approx(result["loss"], rel=1e-5)
    assert main(["evaluate", str(tuned.path)]) == 0
    assert "top-5" not in capsys.readouterr().out  # of three classes
    assert (
        main(["evaluate", str(tuned.path), "--data", str(photos), "--tta", "flip", "--json"]) == 0
    )
    said = capsys.readouterr()
    assert json.loads(said.out)["images"] == 6  # those that the run has not seen
    assert "left out: 49 images that this run was trained on and 5 images" in said.err
    assert (
        main(["evaluate", str(tuned.path), "--data", str(photos), "--split", "train", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["images"] == 60
    image = photos / "ship" / "1.jpg"
    assert main(["predict", str(tuned.path), str(image), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["top"]
    assert {answer["class"] for answer in answers} == set(CLASSES)
    assert main(["predict", str(tuned.path), str(image), "--tta", "crops_flip"]) == 0
    assert str(image) in capsys.readouterr().out


def test_prediction_sees_an_image_as_evaluation_does(tuned, photos):
    from paddle_resnet.data.folder.image_io import read_image

    trained = load_trained(tuned.path)
    assert trained.centre == 0.875
    parts = load_splits(tuned.read_config(), notify=lambda line: None)
    images, _ = next(iter(parts.test))
    pixels = read_image(parts.test.images.paths[0], trained.input_shape, trained.centre)
    mean, std = (np.reshape(each, (3, 1, 1)) for each in (trained.mean, trained.std))
    np.testing.assert_allclose(images[0], (pixels / 255 - mean) / std, atol=1e-5)


def test_parts_are_the_same_each_time_and_do_not_overlap(photos):
    config = load_config("finetune", (f"data.root={photos}", "train.batch_size=8"))
    notices = []
    one, other = (load_splits(config, notices.append) for _ in range(2))
    paths = [
        [set(part.images.paths) for part in (parts.train, parts.validation, parts.test)]
        for parts in (one, other)
    ]
    assert paths[0] == paths[1]
    train, validation, test = paths[0]
    assert len(train | validation | test) == 60
    assert not train & validation
    assert not (train | validation) & test
    assert set(one.test.labels) == set(one.validation.labels) == {0, 1, 2}


def test_a_validation_part_alone_becomes_the_test(tmp_path, photos):
    root = tmp_path / "set"
    root.mkdir()
    (root / "train").symlink_to(photos)
    (root / "val").symlink_to(photos)
    notices = []
    config = load_config("finetune", (f"data.root={root}", "train.batch_size=8"))
    parts = load_splits(config, notices.append)
    assert len(parts.test.images) == 60
    assert (len(parts.train.images), len(parts.validation.images)) == (54, 6)
    assert any("the validation split is the test" in line for line in notices)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.on_corrupt=stop"], r"1 corrupt image among 61: .*damaged\.jpg"),
        (["data.test=0.999"], "data.test=0.999 .*a share such as 0.1|without training images"),
        (["data.validation=5000"], r"data.validation=5000 cannot be held out of 54 images"),
        (["data.root=null"], "data.name=folder needs data.root"),
        (["data.root=/nowhere"], "there is no folder or list '/nowhere'"),
        (["train.batch_size=64"], "train.batch_size is 64, but there are only 49"),
        (["data.crop_padding=4"], "two ways to crop"),
        (["augment.mixup=0.01"], "'augment.mixup' is 0.01 .*expected 0, or from 0.05 to 4"),
        (["augment.cutmx=1"], "Did you mean 'cutmix'"),
        (["test.tta=crop"], "expected none or flip or shifts_flip or crops or crops_flip"),
        (["data.flip=false", "augment.alternate_flip=true"], "no effect without flip"),
        (["data.mean=[0.5]"], "data.mean holds 1 number"),
        (["model.pretrained=/nowhere"], "there is no run folder or weights file"),
        (
            ["data.name=cifar10", "data.root=sample", "data.image_size=64"],
            "is for data.name=folder",
        ),
    ],
)
def test_recipes_that_do_not_fit_the_photos_are_told(tmp_path, photos, capsys, overrides, message):
    import re

    # No network is asked for: what is wrong shows before one is made.
    line = finetune(tmp_path, photos, "model.pretrained=null", *overrides)
    capsys.readouterr()
    assert main(line) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(message, said), said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    ("fact", "part"),
    [({"mean": [125.0, 123.0, 114.0]}, "data.mean of [125.0, "),
     ({"input_shape": [3, 2048, 2048]}, "data.image_size of 2048")],
)  # fmt: skip
def test_a_pretrained_network_of_what_no_recipe_can_have_is_a_sentence(
    tmp_path, photos, earlier, capsys, fact, part
):
    network = load_trained(earlier).network
    _, facts = read_weights(earlier / "best.safetensors")
    save_weights(network, tmp_path / "odd.safetensors", metadata={**facts, **fact})
    line = finetune(tmp_path, photos, f"model.pretrained={tmp_path / 'odd.safetensors'}")
    capsys.readouterr()
    assert main(line) == 2
    said = capsys.readouterr().err
    assert part in said
    assert "which a recipe cannot have: set other values" in said
    assert not (tmp_path / "tuned").exists()


def test_where_published_weights_cannot_be_had_the_other_ways_are_named(
    tmp_path, photos, capsys, monkeypatch
):
    from paddle_resnet.weights import pretrained

    # An address at which there is nothing, on this machine.
    nothing = {"resnet50": ("http://127.0.0.1:9/resnet50.pdparams", "0" * 32)}
    monkeypatch.setattr(pretrained, "published", lambda: nothing)
    monkeypatch.setenv("HOME", str(tmp_path))
    # "auto" would measure steps of ResNet-50.
    assert main(finetune(tmp_path, photos, "train.precision=float32")) == 2
    said = capsys.readouterr().err
    assert "could not be downloaded" in said
    assert "-o model.pretrained=PATH" in said
    assert not (tmp_path / "tuned").exists()


def test_other_classes_get_a_new_head_even_where_their_number_is_the_same(
    tmp_path, photos, tuned, capsys
):
    for name in ("x", "y", "z"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for path in sorted((photos / "ship").iterdir())[:10]:
            (tmp_path / "set" / name / path.name).symlink_to(path)
    overrides = ["optimizer.lr=1e-30", "train.epochs=1", f"model.pretrained={tuned.path}"]
    assert main(finetune(tmp_path, tmp_path / "set", *overrides, "train.batch_size=8")) == 0
    assert "a new head for 3 classes" in capsys.readouterr().out
    before, _ = read_weights(tuned.best)
    after, _ = read_weights(tmp_path / "tuned" / "last.safetensors")
    assert not np.allclose(before["fc.weight"], after["fc.weight"])
    # The same classes keep the head that they have.
    assert main(finetune(tmp_path, photos, *overrides, name="again")) == 0
    assert "its head included" in capsys.readouterr().out
    after, _ = read_weights(tmp_path / "again" / "last.safetensors")
    np.testing.assert_array_equal(before["fc.weight"], after["fc.weight"])


EVERYTHING = [
    "augment.trivial_augment=true", "augment.random_erasing=0.5", "augment.mixup=0.2",
    "augment.cutmix=1", "augment.initial_scale=0.5", "augment.alternate_flip=true",
    "augment.cutout=4", "test.tta=crops_flip", "data.workers=3",
]  # fmt: skip


def test_a_run_with_everything_on_goes_on_bit_for_bit(tmp_path, photos, earlier, monkeypatch):
    from paddle_resnet.training.checkpointer import Checkpointer

    overrides = [*EVERYTHING, f"model.pretrained={earlier}", "train.epochs=3"]
    assert main(finetune(tmp_path, photos, *overrides, name="whole")) == 0
    result = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert result["test"]["images"] == 6

    after_step = Checkpointer.after_step

    def stop_after_six(self, state):
        self.signals.stop_requested = state.progress.step == 6  # in the middle of the second epoch
        after_step(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "after_step", stop_after_six)
        assert main(finetune(tmp_path, photos, *overrides, name="cut")) != 0
    # What it began with may be gone by now: the run is complete without.
    (tmp_path / "cut" / "config.yaml").write_text(
        (tmp_path / "cut" / "config.yaml").read_text().replace(str(earlier), "/nowhere")
    )
    assert main(["train", "--resume", str(tmp_path / "cut")]) == 0
    one, _ = read_weights(tmp_path / "whole" / "last.safetensors")
    other, _ = read_weights(tmp_path / "cut" / "last.safetensors")
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
