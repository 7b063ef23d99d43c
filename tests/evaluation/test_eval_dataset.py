"""A run's test images are its own, whatever became of the folder; other data may be anything."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.data.folder.image_io import read_image
from paddle_resnet.data.splits import load_splits
from paddle_resnet.models import load_trained
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.weights import read_weights, save_weights

QUICK = (
    "model.name=resnet20", "model.pretrained=resnet20", "train.epochs=1", "train.batch_size=4",
    "train.eval_batch_size=4", "run.visualdl=false", "run.report=false", "data.workers=0",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PADDLE_RESNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def photos(root, classes=("cat", "dog"), each=20, first=0, save=None):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + each):
            noise = (
                np.random.RandomState(1000 * number + i).randint(0, 90, (36, 40, 3)) + 60 * number
            )
            path = root / name / f"m{i}.png"
            (save or save_8_bits)(noise, path)
    return root


def save_8_bits(pixels, path):
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def train(folder, root, *more):
    line = ["train", "-c", "finetune", "-o", f"data.root={root}", "-o", f"run.dir={folder}"]
    for override in ("run.name=run", *QUICK, *more):
        line += ["-o", override]
    assert main(line) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run, its photos, and what it said of its test set."""
    root = photos(tmp_path_factory.mktemp("data") / "photos")
    run = train(tmp_path_factory.mktemp("runs"), root)
    return run, root, json.loads((run / "result.json").read_text())["test"]


@pytest.fixture
def mine(trained, tmp_path):
    """A copy of the run and of its photos, which a test may change."""
    run, root, result = trained
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(root, tmp_path / "photos")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["root"] = str(tmp_path / "photos")
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "run", tmp_path / "photos", result


def evaluate(capsys, *arguments):
    """Exit code, figures (or nothing), and lines for people."""
    capsys.readouterr()
    code = main(["evaluate", *map(str, arguments), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out.startswith("{") else {}, said.err


def recorded(run, split="test"):
    with open(run / "images.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def same(figures, result):
    assert figures["images"] == result["images"]
    assert figures["acc_top1"] == result["acc_top1"]
    assert figures["loss"] == pytest.approx(result["loss"], rel=1e-5)


def test_a_run_says_which_images_it_had(trained):
    run, root, result = trained
    parts = load_splits(load_config(run / "config.yaml"), lambda line: None)
    for split, loader in (
        ("train", parts.train), ("validation", parts.validation), ("test", parts.test),
    ):  # fmt: skip
        rows = recorded(run, split)
        assert [root / row["path"] for row in rows] == loader.images.paths
        assert [row["label"] for row in rows] == [parts.classes[n] for n in loader.labels]
        assert [int(row["bytes"]) for row in rows] == [
            p.stat().st_size for p in loader.images.paths
        ]
    assert len(recorded(run)) == result["images"] == 4


def test_an_untouched_folder_gives_the_same_figures(trained, capsys):
    run, _, result = trained
    code, figures, said = evaluate(capsys, run)
    assert code == 0
    assert "Notice" not in said
    same(figures, result)


def test_images_that_were_added_change_nothing(mine, capsys):
    run, root, result = mine
    for name in ("cat", "dog"):
        for number in range(13):
            shutil.copy(root / name / "m0.png", root / name / f"a{number}.png")
            save_8_bits(np.full((36, 40, 3), number), root / name / f"b{number}.png")
    photos(root, ("emu",), 5)
    code, figures, said = evaluate(capsys, run)
    assert code == 0
    assert "Notice" not in said
    same(figures, result)


def test_images_that_were_renamed_or_moved_are_found(mine, capsys):
    run, root, result = mine
    first, second = recorded(run)[:2]
    (root / first["path"]).rename(root / first["label"] / "renamed.jpeg")
    (root / "deep" / "deeper").mkdir(parents=True)
    (root / second["path"]).rename(root / "deep" / "deeper" / "x.png")
    code, figures, said = evaluate(capsys, run)
    assert code == 0
    assert "2 images found under another name by the content" in said
    same(figures, result)


def test_images_that_are_gone_or_changed_are_counted(mine, capsys):
    run, root, _ = mine
    rows = recorded(run)
    (root / rows[0]["path"]).unlink()
    save_8_bits(np.zeros((9, 9, 3)), root / rows[1]["path"])
    code, figures, said = evaluate(capsys, run)
    assert (code, figures["images"]) == (0, 2)
    assert f"2 of the 4 test images of this run are not in '{root}' any more, such as" in said
    assert "(1 of them were changed)" in said
    for row in rows[2:]:
        (root / row["path"]).unlink()
    code, _, said = evaluate(capsys, run)
    assert code == 2
    assert "4 of the 4 test images of this run are not in" in said
    assert "--data PATH" in said
    shutil.rmtree(root)
    code, _, said = evaluate(capsys, run)
    assert code == 2
    assert (
        f"there is no folder or list '{root}'. Name the place of the run's images: --data" in said
    )


def test_the_training_images_of_a_run_are_its_own_too(mine, capsys):
    run, root, _ = mine
    photos(root, first=100, each=7)
    code, figures, _ = evaluate(capsys, run, "--split", "train")
    assert (code, figures["images"]) == (0, len(recorded(run, "train")))


def test_a_folder_that_was_moved_has_no_more_test_images_than_before(mine, capsys):
    run, root, result = mine
    root.rename(root.with_name("elsewhere"))
    photos(root.with_name("elsewhere"), each=1, first=500)
    code, figures, said = evaluate(capsys, run, "--data", root.with_name("elsewhere"))
    assert code == 0
    assert figures["images"] == result["images"] + 2
    assert "left out: 32 images that this run was trained on and 4 images that chose its w" in said
    # The weights' file knows its run.
    best = run / "best.safetensors"
    assert evaluate(capsys, best, "--data", root.with_name("elsewhere"))[1] == {
        **figures, "images_per_second": pytest.approx(0, abs=1e9),
    }  # fmt: skip


def test_nothing_but_training_images_is_told(mine, capsys):
    run, root, _ = mine
    row = recorded(run, "train")[0]
    place = root.with_name("one") / row["label"]
    place.mkdir(parents=True)
    shutil.copy(root / row["path"], place / "new_name.png")
    code, figures, said = evaluate(capsys, run, "--data", place.parent)
    assert (code, figures["images"]) == (0, 1)
    assert (
        "these are 1 image that this run was trained on, and no others: the accuracy says" in said
    )
    code, figures, said = evaluate(capsys, run, "--data", place.parent, "--split", "train")
    assert (code, figures["images"]) == (0, 1)
    assert "Notice" not in said


def test_a_test_split_with_images_of_the_training_is_told(mine, capsys):
    run, root, _ = mine
    other = root.with_name("other")
    photos(other / "test", first=700, each=3)
    row = recorded(run, "train")[0]
    shutil.copy(root / row["path"], other / "test" / row["label"] / "leak.png")
    code, figures, said = evaluate(capsys, run, "--data", other)
    assert (code, figures["images"]) == (0, 6)
    assert "left out: 1 image that this run was trained on." in said


def test_copies_across_a_runs_own_splits_are_told(tmp_path, capsys):
    root = photos(tmp_path / "photos", each=3)
    for split in ("train", "test"):
        shutil.copytree(root, tmp_path / "set" / split)
    photos(tmp_path / "set" / "train", first=50, each=6)
    run = train(tmp_path, tmp_path / "set")
    code, figures, said = evaluate(capsys, run)
    assert (code, figures["images"]) == (0, 6)
    assert "of the test images have a copy among those that this run was trained on" in said


@pytest.mark.parametrize("layout", ["class folder", "test only", "list", "poor train"])
def test_evaluation_needs_no_training_set(trained, tmp_path, capsys, layout):
    run, _, _ = trained
    if layout == "class folder":
        data = photos(tmp_path / "new", ("dog",), 5, first=300)
    elif layout == "test only":
        photos(tmp_path / "new" / "test", ("cat", "dog"), 5, first=300)
        data = tmp_path / "new"
    elif layout == "list":
        photos(tmp_path, ("dog",), 5, first=300)
        data = tmp_path / "dogs.csv"
        data.write_text("".join(f"dog/m{i}.png,dog\n" for i in range(300, 305)))
    else:
        photos(tmp_path / "new" / "train", ("cat",), 2, first=300)
        photos(tmp_path / "new" / "test", ("dog",), 5, first=300)
        data = tmp_path / "new"
    code, figures, _ = evaluate(capsys, run, "--data", data)
    assert (code, figures["images"]) == (0, 10 if layout == "test only" else 5)


def test_a_run_without_a_record_says_that_its_images_are_chosen_anew(mine, capsys):
    run, _, result = mine
    for content in (None, "", "path,label\n1,2\n", "path,label,split,bytes,sha256\na,b,test,x,0\n"):
        (run / "images.csv").unlink() if content is None else (run / "images.csv").write_text(
            content
        )
        code, figures, said = evaluate(capsys, run)
        assert code == 0
        assert "the run does not say which images it was tested on (no images.csv)" in said
        same(figures, result)


# -- the value range goes with the run -------------------------------------------------------


def save_12_bits(pixels, path):
    Image.fromarray((pixels[..., 0] * 27).astype(np.uint16)).save(path)


def test_a_run_reads_12_bits_as_it_was_trained(tmp_path, capsys):
    root = photos(tmp_path / "photos", each=10, save=save_12_bits)
    run = train(tmp_path, root)
    config = RunFolder(run).read_config()
    assert config.data.value_range == [0, 4095]
    assert "of more than 8 bits have values of " in (run / "log.txt").read_text()
    result = json.loads((run / "result.json").read_text())["test"]
    # A brighter image, which would call for 14 bits, changes nothing: nor in what is evaluated ...
    save_12_bits(np.full((36, 40, 3), 500), root / "cat" / "a.png")
    same(evaluate(capsys, run)[1], result)
    # ... nor in what is predicted, alone or beside it.
    dark = sorted((root / "cat").glob("m*.png"))[0]
    answers = []
    for images in ([dark], [dark, root / "cat" / "a.png"]):
        capsys.readouterr()
        assert main(["predict", str(run), *map(str, images), "--json"]) == 0
        said = capsys.readouterr()
        assert "Notice" not in said.err
        answers.append(json.loads(said.out.splitlines()[0])["top"])
    assert answers[0] == answers[1]
    # A run goes on by its recipe, which does not say the range.
    line = ["train", "-c", "finetune", "-o", f"data.root={root}", "-o", f"run.dir={tmp_path}"]
    for override in ("run.name=run", "train.resume=auto", *QUICK):
        line += ["-o", override]
    capsys.readouterr()
    assert main(line) in (0, 2)
    assert "value_range" not in capsys.readouterr().err


def test_weights_alone_read_images_as_they_say(tmp_path, trained, capsys):
    """The answer is that of the same pixels in 8 bits, by the file's range and not the image's."""
    arrays, metadata = read_weights(trained[0] / "best.safetensors")
    network = load_trained(trained[0]).network
    path = save_weights(network, tmp_path / "w.safetensors", {**metadata, "value_range": [0, 4080]})
    assert {*read_weights(path)[0]} == {*arrays}
    grey = np.random.RandomState(0).randint(0, 64, (40, 40))
    Image.fromarray((grey * 16).astype(np.uint16)).save(tmp_path / "wide.png")
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "narrow.png")
    answers = []
    for name in ("wide", "narrow"):
        capsys.readouterr()
        assert main(["predict", str(path), str(tmp_path / f"{name}.png"), "--json"]) == 0
        said = capsys.readouterr()
        assert "Notice" not in said.err
        answers.append(json.loads(said.out)["top"])
    assert answers[0] == answers[1]


def test_a_range_of_the_recipe_wins(tmp_path):
    root = photos(tmp_path / "photos", each=6, save=save_12_bits)
    config = load_config(
        "finetune", (f"data.root={root}", "data.value_range=[0, 8190]", "train.batch_size=4")
    )
    notices = []
    parts = load_splits(config, notices.append)
    assert parts.value_range == [0, 8190]
    path = parts.test.images.paths[0]
    half = read_image(path, (3, 32, 32), value_range=(0, 8190))
    assert half.max() == pytest.approx(
        read_image(path, (3, 32, 32), value_range=(0, 4095)).max() / 2, abs=1
    )
    assert any("8,190 white in all of them, as the recipe says." in line for line in notices)


def test_images_of_12_bits_for_a_network_of_8_bits_are_told(tmp_path, trained, capsys):
    run, _, _ = trained
    root = photos(tmp_path / "new", each=2, first=800, save=save_12_bits)
    code, figures, said = evaluate(capsys, run, "--data", root)
    assert (code, figures["images"]) == (0, 4)
    assert "0 is black and 4,095 white in all of them" in said
    assert main(["predict", str(run), str(root)]) == 0
    assert "0 is black and 4,095 white in all of them" in capsys.readouterr().err


# -- what is predicted -----------------------------------------------------------------------


def test_a_folder_of_a_mac_is_predicted_without_its_clutter(tmp_path, trained, capsys):
    run, root, _ = trained
    mac = tmp_path / "mac"
    (mac / "__MACOSX").mkdir(parents=True)
    (mac / ".ipynb_checkpoints").mkdir()
    shutil.copy(root / "cat" / "m0.png", mac / "1.png")
    shutil.copy(root / "cat" / "m0.png", mac / ".ipynb_checkpoints" / "1-checkpoint.png")
    for junk in (mac / "._1.png", mac / "__MACOSX" / "._1.png"):
        junk.write_bytes(b"\0\5\x16\7")
    (mac / "linked").symlink_to(root / "dog")
    capsys.readouterr()
    assert main(["predict", str(run), str(mac), "--json"]) == 0
    said = capsys.readouterr()
    images = [json.loads(line)["image"] for line in said.out.splitlines()]
    assert images == sorted(
        [f"{mac}/1.png", *(f"{mac}/linked/{p.name}" for p in (root / "dog").iterdir())]
    )
    (mac / "dead.png").symlink_to("/nowhere/1.png")
    assert main(["predict", str(run), str(mac), "--json"]) == 2
    said = capsys.readouterr()
    assert "dead.png' is a link to '/nowhere/1.png', which is not there." in said.err
    assert len(said.out.splitlines()) == 21
