"""Features of recipes in whole runs on the bundled sample."""

import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from run_helpers import stopping_after

from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.errors import UserError
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.training.multi_seed import lines_of, summarize, train_seeds
from paddle_resnet.weights import read_weights

SMALL = [
    "model.name=resnet18", "model.options.widths=[8,8,16,16]", "data.root=sample",
    "data.max_train_images=64", "train.batch_size=16", "train.eval_batch_size=100",
    "optimizer.lr=0.01", "train.budget=null", "run.report=false", "run.visualdl=false",
]  # fmt: skip


def train(tmp_path, *overrides, name="run"):
    line = ["train"]
    for override in [*SMALL, f"run.dir={tmp_path}", f"run.name={name}", *overrides]:
        line += ["-o", override]
    assert main(line) == 0
    return RunFolder(tmp_path / name)


def rows(folder):
    return folder.rows(folder.history)


def test_the_average_is_what_is_saved_evaluated_and_tested(tmp_path):
    """An average that forgets almost nothing is still close to the initial weights."""
    plain = train(tmp_path, "train.epochs=1", name="plain")
    slow = train(tmp_path, "train.epochs=1", "ema.decay=0.999999", "ema.warmup=false", name="slow")
    quick = train(tmp_path, "train.epochs=1", "ema.decay=1e-9", "ema.warmup=false", name="quick")
    weights = {
        folder.path.name: read_weights(folder.last)[0]["fc.weight"]
        for folder in (plain, slow, quick)
    }
    # The training itself is the same: only what is kept of it differs.
    assert [row["loss"] for row in rows(slow)] == [row["loss"] for row in rows(plain)]
    np.testing.assert_allclose(weights["quick"], weights["plain"], atol=1e-6)
    assert np.abs(weights["slow"] - weights["plain"]).max() > 1e-3
    test = {
        folder.path.name: json.loads(folder.result.read_text())["test"]["loss"]
        for folder in (plain, slow, quick)
    }
    assert test["quick"] == pytest.approx(test["plain"], rel=1e-3)
    assert test["slow"] == pytest.approx(np.log(10), abs=0.3)  # it has learned nothing
    assert rows(slow)[-1]["val_loss"] == pytest.approx(np.log(10), abs=0.3)


def test_early_stopping_and_its_line(tmp_path, capsys):
    folder = train(
        tmp_path, "train.epochs=9", "early_stopping.patience=2", "early_stopping.min_delta=0.9"
    )
    assert len(rows(folder)) == 3
    assert json.loads(folder.result.read_text())["status"] == "finished"
    assert "has not improved" in folder.log.read_text()


def test_a_plateau_lowers_the_rate(tmp_path):
    folder = train(
        tmp_path, "train.epochs=4", "schedule.name=constant", "schedule.warmup=0",
        "plateau.patience=1", "plateau.min_delta=100", "plateau.factor=0.5",
        "plateau.min_factor=0.2",
    )  # fmt: skip
    assert [row["lr"] for row in rows(folder)] == pytest.approx([0.01, 0.01, 0.005, 0.0025])
    assert "learning rate" in folder.log.read_text()


def test_head_first_then_all(tmp_path):
    folder = train(tmp_path, "train.epochs=1", "finetune.unfreeze_at={backbone: 1}")
    frozen = read_weights(folder.last)[0]
    start = train(tmp_path, "train.epochs=1", "optimizer.lr=1e-12", name="start")
    begin = read_weights(start.last)[0]
    moved = {name for name in frozen if not np.allclose(frozen[name], begin[name], atol=1e-7)}
    statistics = {name for name in moved if name.endswith(("._mean", "._variance"))}
    # The other run's statistics moved; here, nothing but the head did.
    assert moved - statistics == {"fc.weight", "fc.bias"}
    assert np.all(frozen["bn1._mean"] == 0)
    facts = [json.loads(each.result.read_text())["model"] for each in (folder, start)]
    assert facts[0]["parameters"] == facts[1]["parameters"]


def test_accumulation_and_steps_by_epoch(tmp_path):
    folder = train(
        tmp_path, "train.epochs=2", "train.grad_accum_steps=3", "schedule.interval=epoch",
        "schedule.name=linear", "schedule.warmup=0",
    )  # fmt: skip
    assert [row["lr"] for row in rows(folder)] == pytest.approx([0.01, 0.005])


def refused(capsys, tmp_path, *overrides):
    line = ["train"]
    for override in [*SMALL, "train.epochs=1", f"run.dir={tmp_path}", "run.name=r", *overrides]:
        line += ["-o", override]
    capsys.readouterr()
    assert main(line) == 2
    assert not (tmp_path / "r").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["early_stopping.patience=1", "data.validation=0"], "no validation images"),
        (["finetune.unfreeze_at={layer5: 1}"], "Did you mean 'layer"),
        (["optimizer.lr_multipliers={layer5: 1}"], "Did you mean 'layer"),
        (["train.precision=float61"], "Did you mean 'float16'?"),
    ],
)
def test_what_cannot_be_is_refused_before_the_folder_is_made(capsys, tmp_path, overrides, part):
    assert part in refused(capsys, tmp_path, *overrides)


def test_half_precision_on_a_cpu_is_a_notice(tmp_path, capsys):
    folder = train(tmp_path, "train.epochs=1", "train.precision=bfloat16")
    assert "notice: precision bfloat16 needs the CPU operator" in capsys.readouterr().out
    assert "notice: precision bfloat16 needs the CPU operator" in folder.log.read_text()


def test_sync_bn_in_one_process_is_a_notice(tmp_path, capsys):
    folder = train(tmp_path, "train.epochs=1", "train.sync_bn=true")
    assert "Notice: train.sync_bn has no effect in one process" in capsys.readouterr().out
    assert "Notice: train.sync_bn has no effect in one process" in folder.log.read_text()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("seeds")
    return train(tmp_path, "train.epochs=1", "train.num_seeds=3", "train.seed=5", name="many").path


def test_runs_with_several_seeds_and_their_spread(seeds, capsys):
    summary = json.loads((seeds / "summary.json").read_text())
    own = yaml.safe_load((seeds / "config.yaml").read_text())["train"]
    assert own["precision"] == "auto"
    accuracies = []
    for seed, run in zip((5, 6, 7), summary["runs"]):
        folder = RunFolder(seeds / f"seed-{seed}")
        recipe = yaml.safe_load(folder.config.read_text())["train"]
        # What `auto` is without the operator.
        assert (recipe["seed"], recipe["precision"]) == (seed, "float32")
        result = json.loads(folder.result.read_text())
        assert run["test"] == result["test"]
        accuracies.append(result["test"]["acc_top1"])
    assert summary["finished"] == 3
    assert summary["mean"]["acc_top1"] == pytest.approx(np.mean(accuracies))
    assert summary["std"]["acc_top1"] == pytest.approx(np.std(accuracies, ddof=1))
    assert len(set(accuracies)) > 1
    assert summary["differ"] == {}
    first, *_, last = lines_of(summary)
    assert "on 500 images of the sample (best weights)" in first
    assert "mean ± standard deviation of 3 runs: acc_top1 " in last


def test_tests_that_are_not_alike_are_told(seeds, tmp_path):
    """As budgets of slow machines cut them."""
    shutil.copytree(seeds, tmp_path / "cut")
    path = tmp_path / "cut" / "seed-6" / "result.json"
    result = json.loads(path.read_text())
    result["test"].update(images=312, weights="last")
    path.write_text(json.dumps(result))
    summary = summarize(tmp_path / "cut", [5, 6, 7])
    assert summary["differ"] == {"images": [312, 500], "weights": ["best", "last"]}
    last = lines_of(summary)[-1]
    assert "3 runs, whose tests are not alike (images 312, 500; weights best, last): acc" in last
    result["data"].update(is_sample=False, classes=["cat", "dog", "ship"])
    path.write_text(json.dumps(result))
    summary = summarize(tmp_path / "cut", [6])
    assert summary["differ"] == {}
    lines = lines_of(summary)
    assert "on 312 images (last weights)" in lines[0]
    assert "acc_top5" not in lines[-1]


def test_a_run_with_several_seeds_equals_one_alone(seeds, tmp_path):
    alone = train(tmp_path, "train.epochs=1", "train.seed=6")
    assert alone.last.read_bytes() == (seeds / "seed-6" / "last.safetensors").read_bytes()


def test_going_on_does_what_is_missing(seeds, capsys):
    before = json.loads((seeds / "summary.json").read_text())
    (seeds / "summary.json").unlink()
    weights = (seeds / "seed-7" / "last.safetensors").read_bytes()
    for file in sorted((seeds / "seed-7").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (seeds / "seed-7").rmdir()
    kept = (seeds / "seed-5" / "log.txt").read_text()
    assert main(["train", "--resume", str(seeds)]) == 0
    after = json.loads((seeds / "summary.json").read_text())
    assert after["mean"] == before["mean"]
    assert (seeds / "seed-7" / "last.safetensors").read_bytes() == weights
    assert (seeds / "seed-5" / "log.txt").read_text() == kept
    assert "±" in capsys.readouterr().out


def test_seeds_of_a_trained_network_go_on(seeds, tmp_path):
    """What that network says about itself is in the recipe of each run, not in that of all."""
    widths = "model.options.widths=[8,8,16,16]"
    assert widths in SMALL
    line = ["train"]
    for override in [
        *(each for each in SMALL if each != widths), f"model.pretrained={seeds / 'seed-5'}",
        "train.epochs=1", "train.num_seeds=2", f"run.dir={tmp_path}", "run.name=two",
        "train.checkpoint_interval=1 steps",
    ]:  # fmt: skip
        line += ["-o", override]
    with stopping_after(2):
        main(line)
    first = RunFolder(tmp_path / "two" / "seed-0")
    assert not first.rows(first.history)
    assert main(["train", "--resume", str(tmp_path / "two")]) == 0
    assert len(first.rows(first.history)) == 1


def test_seeds_do_not_overwrite_others(seeds, capsys):
    line = ["train"]
    for override in [
        *SMALL, "train.epochs=1", "train.num_seeds=2", f"run.dir={seeds.parent}", "run.name=many",
    ]:  # fmt: skip
        line += ["-o", override]
    assert main(line) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["report", "evaluate", "predict", "compare", "train -o"])
def test_the_folder_of_all_seeds_is_no_run(seeds, tmp_path, command, capsys):
    given = f"model.pretrained={seeds}" if command == "train -o" else str(seeds)
    line = [*command.split(), given]
    if command == "predict":
        Image.new("RGB", (32, 32)).save(tmp_path / "image.png")
        line.append(str(tmp_path / "image.png"))
    before = sorted(seeds.iterdir())
    assert main(line) == 2
    sentence = capsys.readouterr().err
    assert f"'{seeds}' is not one run, but holds seed-5, seed-6, seed-7" in sentence
    assert f"such as '{seeds / 'seed-5'}'" in sentence
    assert len(sentence.splitlines()) == 1
    assert sorted(seeds.iterdir()) == before


def test_one_process_at_a_time_in_the_folder_of_all_seeds(tmp_path, capsys):
    """Asked for the moment that the first seed begins, and again between two of them."""
    folder = tmp_path / "two"
    overrides = (
        *SMALL,
        "train.epochs=1",
        "train.num_seeds=2",
        f"run.dir={tmp_path}",
        "run.name=two",
    )
    config = load_config(None, overrides)
    refusals = []

    def second(line):
        if not line.startswith("run "):
            return
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        capsys.readouterr()
        assert main(["train", "--resume", str(folder)]) == 2
        refusals.append(capsys.readouterr().err)
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

    assert train_seeds(config, write=second)["finished"] == 2
    assert (
        refusals
        == [f"error: another process is training in '{folder}': two runs cannot share a folder.\n"]
        * 2
    )


def test_seeds_go_on_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    roots = []

    def look(line):
        roots.append(RunFolder(tmp_path / "runs" / "many").read_config().data.root)

    line = ("data.name=folder", "data.root=data", "train.num_seeds=2", "run.name=many")
    with pytest.raises(UserError):  # there are no images in it
        train_seeds(load_config(None, line), write=look)
    assert roots == [str(tmp_path / "data")]


def test_seeds_that_are_refused_leave_no_folder(tmp_path, capsys):
    assert "nowhere" in refused(capsys, tmp_path, "train.num_seeds=2", "data.root=/nowhere")


@pytest.mark.parametrize("optimizer", ["lars", pytest.param("lamb", marks=pytest.mark.slow)])
def test_all_features_go_on_to_the_bit(tmp_path, optimizer):
    """From every checkpoint of a run, it ends with the same weights, averages included."""
    whole = train(
        tmp_path, "train.epochs=4", f"optimizer.name={optimizer}", "train.grad_accum_steps=2",
        "data.max_train_images=80", "ema.decay=0.9",
        "finetune.unfreeze_at={backbone: 0.4, conv1: 0.7}",
        "optimizer.layer_decay=0.9", "optimizer.clip_norm=1", "plateau.patience=1",
        "plateau.min_delta=0.5", "early_stopping.patience=9", "schedule.name=onecycle",
        "train.checkpoint_interval=1 steps", "train.keep_checkpoints=99", name="whole",
    )  # fmt: skip
    steps = sorted(int(path.stem[5:]) for path in whole.checkpoints.glob("step-*"))
    # 5 batches an epoch: after the 2nd and the 4th, and at the end; never within a group.
    assert steps == [2, 4, 5, 7, 9, 10, 12, 14, 15, 17, 19, 20]
    rows = whole.rows(whole.history)
    for step in (9, 10):
        copy = RunFolder(tmp_path / f"from-{step}")
        shutil.copytree(whole.path, copy.path)
        copy.result.unlink()
        for path in copy.checkpoints.glob("step-*"):
            if int(path.stem[5:]) > step:
                path.unlink()
        assert main(["train", "--resume", str(copy.path)]) == 0
        assert copy.last.read_bytes() == whole.last.read_bytes()
        timeless = ("seconds", "images_per_second")
        assert [
            {k: row[k] for k in row if k not in timeless} for row in copy.rows(copy.history)
        ] == [{k: row[k] for k in row if k not in timeless} for row in rows]
