"""Runs that are killed, and runs whose surroundings fail them."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import kill_harness
import numpy as np
import paddle
import pytest
import yaml
from run_helpers import refused, stopping_after

from paddle_resnet.cli import main
from paddle_resnet.config import load_config
from paddle_resnet.errors import TrainingError
from paddle_resnet.io.file_lock import FolderLock
from paddle_resnet.models import load_trained
from paddle_resnet.models.speedrun_resnet import SpeedrunResNet
from paddle_resnet.runs.resume_rules import find_run, resumed_config
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.training import trainer
from paddle_resnet.training.loop.callback import Callback
from paddle_resnet.training.loop.seeding import seed_step
from paddle_resnet.training.setup.build_state import build_state
from paddle_resnet.training.trainer import run
from paddle_resnet.weights import read_weights

linux = pytest.mark.skipif(sys.platform != "linux", reason="signals and mounts of Linux")
root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounts a tiny file system"
)


#: Most of the time would be evaluation.
SMALL = (
    "train.precision=float32",
    "data.max_train_images=64", "data.validation=0.05", "train.eval_batch_size=100",
    "model.options.layers=[1,1,1,1]", "run.visualdl=false",
)  # fmt: skip


def recipe(tmp_path, *overrides, name="run"):
    """The harness's small run, 2 epochs of 4 steps."""
    line = kill_harness.command(tmp_path / name, 2, "1 steps", 0)
    for override in (*SMALL, *overrides):
        line += ["-o", override]
    return line


def config(tmp_path, *overrides, name="run"):
    return load_config("quickstart", tuple(recipe(tmp_path, *overrides, name=name)[2::2]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happened to."""
    tmp_path = tmp_path_factory.mktemp("whole")
    assert main(recipe(tmp_path)) == 0
    return tmp_path / "run"


@pytest.fixture(scope="module")
def whole_alone(tmp_path_factory, warm_python):
    """The same in a process of its own, as users' runs are, on one thread."""
    return in_process(tmp_path_factory.mktemp("alone"), warm_python)


def in_process(tmp_path, python):
    process = kill_harness.start(recipe(tmp_path), tmp_path / "log", python=python)
    assert process.wait() == 0, (tmp_path / "log").read_text()
    return tmp_path / "run"


# -- killed ------------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("place", ["half a file", "after the rename"])
def test_killed_while_writing_a_checkpoint(whole_alone, warm_python, tmp_path, place):
    process = kill_harness.start(recipe(tmp_path), tmp_path / "log", place, 4, warm_python)
    assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert kill_harness.newest_step(tmp_path / "run") > 0
    assert in_process(tmp_path, warm_python) == tmp_path / "run"
    assert kill_harness.differences(tmp_path / "run", whole_alone) == []


@linux
@pytest.mark.slow
def test_fifty_kills(tmp_path):
    tally = kill_harness.harness(50, 4, 30, "20 steps", 0, tmp_path)
    assert tally.problems == []
    assert tally.kills >= 50
    assert tally.identical == tally.runs
    assert max(tally.lost_steps) <= 20


def test_the_harness_notices_a_difference(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    assert kill_harness.differences(tmp_path / "run", whole) == []
    path = tmp_path / "run" / "steps.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    content = bytearray((tmp_path / "run" / "last.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "run" / "last.safetensors").write_bytes(content)
    assert len(kill_harness.differences(tmp_path / "run", whole)) == 2


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 7, 8])
def test_any_checkpoint_leads_to_the_same_end(whole, tmp_path, steps):
    """Also the one at the beginning and the one at the end, and with a damaged one after it."""
    started = config(tmp_path, "train.keep_checkpoints=100")
    with stopping_after(steps):
        run(started)
    folder = RunFolder(tmp_path / "run")
    # What a killed process leaves: rows beyond the checkpoint, halves of files, a torn line.
    for path in (folder.history, folder.steps):
        with open(path, "a") as file:
            file.write('{"epoch": 9, "step": 99}\n{"epo')
    (folder.path / ".last.safetensors.0.tmp").write_text("half")
    if steps:
        (folder.checkpoints / "step-00000099.safetensors").write_bytes(b"damaged")
    run(started, resume=find_run(started))
    assert kill_harness.differences(tmp_path / "run", whole) == []


def test_the_images_make_a_first_layer_once(tmp_path, monkeypatch):
    """A run that goes on has it in its checkpoint, however many images there are."""
    seen = []
    plain = SpeedrunResNet.whiten

    def whiten(network, images):
        seen.append(len(images))
        plain(network, images)

    monkeypatch.setattr(SpeedrunResNet, "whiten", whiten)
    options = "model.options={stem_width: 18, widths: [8, 16, 16]}"
    started = config(tmp_path, "model.name=speedrun_resnet", options)
    for steps in (0, 2):  # killed before and after the first checkpoint
        with stopping_after(steps):
            run(started, resume=find_run(started))
    assert seen == [64, 64]
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    first_layer = read_weights(newest)[0]["network/conv1.weight"]
    run(started, resume=find_run(started))
    assert seen == [64, 64]
    last = read_weights(tmp_path / "run" / "last.safetensors")[0]
    np.testing.assert_array_equal(last["conv1.weight"], first_layer)


def test_the_epochs_row_covers_the_whole_epoch(whole, tmp_path):
    """The base of the test above, as a figure of its own: a mean of all four batches."""
    with stopping_after(2):
        run(config(tmp_path))
    run(config(tmp_path), resume=find_run(config(tmp_path)))
    ours, theirs = (kill_harness.rows(f / "history.jsonl") for f in (tmp_path / "run", whole))
    steps = kill_harness.rows(whole / "steps.jsonl")[:4]
    assert ours[0]["loss"] == theirs[0]["loss"]
    assert ours[0]["loss"] == pytest.approx(np.mean([row["loss"] for row in steps]))


def test_visualdl_holds_each_point_once(tmp_path):
    from visualdl import LogReader

    started = config(tmp_path, "run.visualdl=true")
    with stopping_after(5):
        run(started)
    run(started, resume=find_run(started))
    (log,) = (tmp_path / "run" / "visualdl").iterdir()
    points = LogReader(file_path=str(log)).get_data("scalar", "step/loss/train")
    assert [point.id for point in points] == list(range(1, 9))
    rows = kill_harness.rows(tmp_path / "run" / "steps.jsonl")
    assert [point.value for point in points] == pytest.approx([row["loss"] for row in rows])


def test_random_draws_depend_on_the_seed_and_the_step_alone():
    def draws(seed, step, before=0):
        paddle.rand([before + 1])
        np.random.rand(before)
        seed_step(seed, step, 0)
        return (*paddle.rand([4]).numpy(), *np.random.rand(4))

    assert draws(1, 5) == draws(1, 5, before=7)
    assert len({draws(seed, step) for seed in (0, 1, 2) for step in (0, 1, 2)}) == 9


# -- finding the run -----------------------------------------------------------------------------


def test_auto_goes_on_and_at_last_does_nothing(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    before = (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns
    assert main(recipe(tmp_path)) == 0
    assert "is finished: there is nothing" in capsys.readouterr().out
    assert (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns == before


def test_auto_does_not_go_on_with_another_recipe(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    sentence = refused(capsys, recipe(tmp_path, "optimizer.lr=0.02"))
    assert "optimizer.lr 0.01, and now it is 0.02" in sentence
    for asked in ("float16", "bfloat16"):
        sentence = refused(capsys, recipe(tmp_path, f"train.precision={asked}"))
        assert f"train.precision 'float32', and now it is '{asked}'" in sentence
    assert "run.name" in refused(capsys, recipe(tmp_path, "run.name=null"))


def test_what_may_change_changes_and_the_rest_is_the_runs_own(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    now = config(tmp_path, "train.checkpoint_interval=2m", "run.report=true", "data.download=false")
    merged = resumed_config(find_run(now), now)
    train = dataclasses.replace(now.train, precision="float32")  # what `auto` was
    assert merged == dataclasses.replace(now, train=train)
    # A pretrained network has filled in what the recipe left open.
    text = (tmp_path / "run" / "config.yaml").read_text()
    text = text.replace("pretrained: null", "pretrained: published").replace("resnet18", "resnet34")
    (tmp_path / "run" / "config.yaml").write_text(text)
    now = config(tmp_path, "model.pretrained=published")
    assert resumed_config(find_run(now), now).model.name == "resnet34"


def test_a_run_whose_checkpoints_were_removed_is_not_begun_anew(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "result.json").unlink()
    assert "holds no checkpoint" in refused(capsys, recipe(tmp_path))
    assert (tmp_path / "run" / "last.safetensors").is_file()


def test_a_damaged_best_is_told_and_replaced(whole, tmp_path, capsys):
    started = config(tmp_path, "run.visualdl=false")
    with stopping_after(4):
        run(started)
    best = tmp_path / "run" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-8])
    run(started, resume=find_run(started))
    assert "best.safetensors' is corrupt" in capsys.readouterr().out
    assert load_trained(tmp_path / "run", "best").model == "resnet18"


def test_weights_that_no_checkpoint_knows_are_told(whole, tmp_path, capsys):
    """The newest checkpoint is damaged, and the best weights are of the epoch after the others."""
    shutil.copytree(whole, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.result.unlink()
    (folder.checkpoints / "step-00000008.safetensors").write_bytes(b"damaged")
    epoch = json.loads((whole / "result.json").read_text())["best"]["epoch"]
    assert epoch == 2, "or the test shows nothing"
    run(config(tmp_path), resume=folder)
    assert "is of epoch 2, which comes after the checkpoint" in capsys.readouterr().out
    assert kill_harness.differences(tmp_path / "run", whole) == []


def test_a_relative_root_is_found_from_another_folder(tmp_path, sample, monkeypatch):
    from paddle_resnet.runs.run_folder import absolute_paths

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    there = config(tmp_path, "data.root=data", name="x")
    assert absolute_paths(there).data.root == str(tmp_path / "data")
    folder = RunFolder.create(there, "x")
    folder.release()
    assert yaml.safe_load(folder.config.read_text())["data"]["root"] == str(tmp_path / "data")
    assert find_run(there) is not None
    assert absolute_paths(config(tmp_path, "data.root=sample")).data.root == "sample"


# -- two at once ---------------------------------------------------------------------------------


@linux
def test_the_second_run_in_a_folder_is_refused_until_the_first_one_dies(whole, tmp_path, capsys):
    process = kill_harness.start(recipe(tmp_path, "train.epochs=5000"), tmp_path / "log")
    while kill_harness.newest_step(tmp_path / "run") < 3:
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.05)
    sentence = refused(capsys, recipe(tmp_path, "train.epochs=5000"))
    assert "another process is training in" in sentence
    process.kill()
    process.wait()
    folder = RunFolder.open(tmp_path / "run")
    folder.acquire()
    folder.release()


def test_a_lock_is_held_once_and_given_back(tmp_path):
    first, second = FolderLock(tmp_path / ".lock"), FolderLock(tmp_path / ".lock")
    first.acquire()
    first.acquire()
    with pytest.raises(BlockingIOError):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


# -- what can go wrong with a disk ---------------------------------------------------------------


class AfterStep3(Callback):
    """Does something after the third step."""

    def __init__(self, action):
        self.action = action

    def on_step_end(self, state, result):
        if state.progress.step == 3:
            self.action(state)


def run_with(started, callback, monkeypatch):
    """Run with one more callback, in front of all others."""

    def build(*arguments):
        state = build_state(*arguments)
        state.callbacks.insert(0, callback)
        return state

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "build_state", build)
        return run(started)


def test_no_checkpoint_holds_a_weight_that_is_not_finite(whole, tmp_path, monkeypatch):
    """Else no run could be resumed from it; and it would push out the valid ones."""

    def spoil(state):
        state.network.fc.bias.set_value(np.full([10], np.inf, np.float32))

    with pytest.raises(TrainingError, match=r"after step 3, 'fc.bias' holds NaN or infinite"):
        run_with(config(tmp_path), AfterStep3(spoil), monkeypatch)
    assert kill_harness.newest_step(tmp_path / "run") == 2
    run(config(tmp_path), resume=find_run(config(tmp_path)))
    assert kill_harness.differences(tmp_path / "run", whole) == []


@pytest.mark.parametrize("mode", ["warn", "stop"])
def test_a_removed_folder_is_one_clear_sentence(tmp_path, monkeypatch, capsys, mode):
    folder = tmp_path / "run"
    started = config(tmp_path, f"run.on_write_error={mode}", "run.visualdl=true")
    with pytest.raises(TrainingError) as error:
        run_with(started, AfterStep3(lambda state: shutil.rmtree(folder)), monkeypatch)
    sentence = str(error.value)
    assert "was removed" in sentence
    out = capsys.readouterr().out
    if mode == "warn":
        assert "nothing of it is left" in sentence
        assert out.count("warning") == 1
        assert "the run folder was removed" in out
        assert "epoch 2/2" in out
    else:
        assert "training stopped, as run.on_write_error asks" in sentence
        assert "epoch 1/2:" not in out


@root
@pytest.mark.parametrize("mode", ["warn", "stop"])
def test_a_disk_that_runs_full(whole, tmp_path, monkeypatch, capsys, mode):
    disk = tmp_path / "disk"
    with mounted(disk, "size=4m"):

        def fill(state):
            with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

        started = config(disk, f"run.on_write_error={mode}", "train.epochs=3")
        with pytest.raises(TrainingError, match="No space left on device"):
            run_with(started, AfterStep3(fill), monkeypatch)
        folder = RunFolder(disk / "run")
        out = capsys.readouterr().out
        assert ("epoch 3/3" in out) == (mode == "warn")
        assert not list(folder.path.rglob(".*.tmp"))
        assert all(path.stat().st_size for path in folder.checkpoints.iterdir())
        # With room again, it goes on, and nothing is missing.
        (disk / "filler").unlink()
        again = config(disk, "train.epochs=3")
        run(again, resume=find_run(again))
        assert [row["epoch"] for row in kill_harness.rows(folder.history)] == [1, 2, 3]
        assert load_trained(folder.path).model == "resnet18"


@root
def test_a_folder_that_cannot_be_written(whole, tmp_path, capsys):
    with mounted(tmp_path / "disk", "size=4m"):
        shutil.copytree(whole, tmp_path / "disk" / "run")
        (tmp_path / "disk" / "run" / "result.json").unlink()
        remount = ["mount", "-o", "remount,ro", str(tmp_path / "disk")]
        subprocess.run(remount, check=True)
        assert "Read-only file system" in refused(capsys, recipe(tmp_path / "disk"))
        assert "Read-only file system" in refused(capsys, recipe(tmp_path / "disk", name="new"))


class mounted:
    """A file system in memory, of some size."""

    def __init__(self, path, options):
        self.path, self.options = path, options

    def __enter__(self):
        self.path.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.path)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("no right to mount")

    def __exit__(self, *error):
        subprocess.run(["umount", str(self.path)], check=True)


@root
def test_shared_memory_is_not_needed(whole_alone, tmp_path):
    script = 'mount -t tmpfs -o size=4k tmpfs /dev/shm && exec "$@"'
    trainer = [sys.executable, "-m", "paddle_resnet", *recipe(tmp_path)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *trainer],
        cwd=Path(kill_harness.ROOT),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no right to mount")
    assert done.returncode == 0, done.stderr
    assert kill_harness.differences(tmp_path / "run", whole_alone) == []


def test_a_clock_that_goes_backwards_does_no_harm(whole, tmp_path, monkeypatch):
    """Only what is shown to people reads the clock on the wall."""
    now = [2e9]

    def backwards():
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    started = config(tmp_path, "train.checkpoint_interval=0.001s", "run.visualdl=true")
    with stopping_after(5):
        run(started)
    run(started, resume=find_run(started))
    assert kill_harness.differences(tmp_path / "run", whole) == []
    seconds = [row["seconds"] for row in kill_harness.rows(tmp_path / "run" / "steps.jsonl")]
    assert seconds == sorted(seconds)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["training"]["seconds"] > 0
