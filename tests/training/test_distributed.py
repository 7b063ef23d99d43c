"""Several processes that train as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kill_harness
import numpy as np
import pytest
from paddle.io import Dataset
from two_processes import largest_difference, launch

from paddle_resnet import kernels
from paddle_resnet.data import BatchLoader
from paddle_resnet.data.augment.options import Augment
from paddle_resnet.errors import DataError
from paddle_resnet.kernels.activations import bfloat16_works
from paddle_resnet.training.paddle_compat.dataset_loader import SeededBatchSampler

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
ROOT = Path(__file__).parents[2]


# -- shares ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize(
    "augment", [Augment(random_erasing=0.5, trivial_augment=True), Augment(mixup=0.2)]
)
def test_the_shares_of_a_batch_are_the_batch(sample, parts, augment):
    loader = BatchLoader(
        sample.train_images[:45],
        sample.train_labels[:45],
        20,
        shuffle=True,
        seed=3,
        crop_padding=4,
        flip=True,
        augment=augment,
    )
    whole = list(loader.batches(2, start=1))
    shares = [list(loader.shard(part, parts).batches(2, start=1)) for part in range(parts)]
    assert [len(batch[1]) for batch in whole] == [20, 5]
    for index, batch in enumerate(whole):
        together = [np.concatenate(arrays) for arrays in zip(*(each[index] for each in shares))]
        for ours, theirs in zip(together, batch):
            np.testing.assert_array_equal(ours, theirs)
        sizes = [len(share[index][1]) for share in shares]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("images", [2, 7, 8, 21])
def test_every_image_is_in_one_share(images):
    pixels = np.arange(images, dtype=np.uint8).reshape(-1, 1, 1, 1)
    loader = BatchLoader(pixels, np.zeros(images, np.int64), 4)
    seen = []
    for part in (0, 1):
        share = loader.shard(part, 2)
        own = np.concatenate([batch[0].flatten() * 255 for batch in share])
        np.testing.assert_allclose(own, share.shard_indices(), rtol=1e-6)
        seen += share.shard_indices().tolist()
    assert sorted(seen) == list(range(images))


def test_a_batch_that_cannot_be_shared_is_refused():
    loader = BatchLoader(np.zeros((9, 1, 1, 1), np.uint8), np.zeros(9, np.int64), 4)
    loader.shard(0, 2)  # for evaluation
    with pytest.raises(DataError, match=r"last batch of 1 images .* 2 processes.*drop_last"):
        loader.shard(0, 2, every_batch=True)
    with pytest.raises(DataError, match="batch of 4 images"):
        loader.shard(0, 5)


@pytest.mark.parametrize("size", [1, 10, 11])
def test_a_dataset_is_evaluated_without_repetitions(monkeypatch, size):
    class Numbers(Dataset):
        def __len__(self):
            return size

        def __getitem__(self, index):
            return index

    seen = []
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    for rank in "01":
        monkeypatch.setenv("PADDLE_TRAINER_ID", rank)
        sampler = SeededBatchSampler(Numbers(), 3, None, False)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        seen += [index for batch in batches for index in batch]
    assert sorted(seen) == list(range(size))


# -- real processes ----------------------------------------------------------------------------


def recipe(folder, epochs, *overrides):
    line = kill_harness.command(folder, epochs, "2 steps", 0)[1:]
    for override in ("data.max_train_images=63", "train.drop_last=false", *overrides):
        line += ["-o", override]
    return line


def train(folder, processes, *arguments):
    folder.parent.mkdir(parents=True, exist_ok=True)
    process = launch(processes, 1, folder.parent, *arguments)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    """With BN over the whole batch, up to the rounding of sums in another order."""
    same = "model.options.stochastic_depth=0"  # each process draws for its own share
    one, two, own = (tmp_path / name / "run" for name in ("one", "two", "own"))
    train(one, 1, *recipe(one, 2, same))
    train(two, 2, *recipe(two, 2, same, "train.sync_bn=true"))
    train(own, 2, *recipe(own, 2, same))
    assert largest_difference(one, two) < 1e-4
    assert largest_difference(one, own) > 1e-3  # without it, another network: the test can see it
    results = [json.loads((run / "result.json").read_text()) for run in (one, two)]
    for key in ("images", "acc_top1", "acc_top5"):
        assert results[1]["test"][key] == pytest.approx(results[0]["test"][key], abs=0.005)
    labels = [np.load(run / "predictions.npz")["labels"] for run in (one, two)]
    np.testing.assert_array_equal(*labels)
    rows = [
        [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        for run in (one, two)
    ]
    for ours, theirs in zip(*rows):
        assert ours["images"] == theirs["images"]
        for key in ("loss", "acc_top1", "val_loss", "val_acc_top1"):
            assert theirs[key] == pytest.approx(ours[key], abs=0.005)
    assert [len(each) for each in rows] == [2, 2]


@pytest.fixture
def operator(monkeypatch):
    """Let the processes compute by the CPU operator, which is built before they start."""
    with kernels.use("auto"):
        if not bfloat16_works():
            pytest.skip("the CPU operator cannot be built here, or has no bfloat16")
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", "require")


@pytest.mark.slow
def test_two_processes_train_in_bfloat16(tmp_path, operator):
    """As they do in float32, but for the rounding of maps."""
    rows = []
    for precision in ("float32", "bfloat16"):
        folder = tmp_path / precision / "run"
        same = ("model.options.stochastic_depth=0", f"train.precision={precision}")
        train(folder, 2, *recipe(folder, 1, *same))
        log = (folder / "log.txt").read_text()
        assert f"20 conv-BN layers: CPU operator, {precision}" in log
        assert "2 processes" in log
        rows.append(json.loads((folder / "history.jsonl").read_text()))
    for key in ("loss", "val_loss"):
        assert rows[1][key] == pytest.approx(rows[0][key], rel=0.02)
        assert rows[1][key] != rows[0][key]


@pytest.mark.slow
def test_paddles_data_parallel_averages_the_gradients_of_bfloat16_maps(tmp_path, operator):
    line = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    line += ["--log_dir", str(tmp_path / "log"), str(Path(__file__).parent / "data_parallel.py")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PADDLE_T")}
    done = subprocess.run(
        line,
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("override", ["train.budget=1m", "train.num_seeds=2"])
def test_what_is_for_one_process_is_refused(tmp_path, override):
    folder = tmp_path / "run"
    process = launch(2, 1, folder.parent, *recipe(folder, 2, override))
    process.communicate(timeout=60)
    assert process.returncode != 0
    for rank in "01":
        log = (tmp_path / "log" / f"workerlog.{rank}").read_text()
        (sentence,) = [line for line in log.splitlines() if line.startswith("error: ")]
        assert override.split("=")[0] in sentence
    assert not folder.exists()


@linux
@pytest.mark.slow
def test_a_killed_process_ends_all_and_the_run_goes_on(tmp_path):
    whole, killed = (tmp_path / name / "run" for name in ("whole", "killed"))
    train(whole, 2, *recipe(whole, 8))
    killed.parent.mkdir()
    process = launch(2, 1, killed.parent, *recipe(killed, 8))
    while kill_harness.newest_step(killed) < 6:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    (second,) = [pid for pid in children(process.pid) if trainer(pid) == "1"]
    others = children(process.pid)
    os.kill(second, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)
    log = (killed.parent / "log" / "workerlog.0").read_text()
    assert "another of the 2 processes of this training ended" in log
    assert f"--resume {killed}" in log
    assert "Traceback" not in log
    assert json.loads((killed / "result.json").read_text())["status"] == "failed"
    train(killed, 2, "--resume", str(killed))
    assert kill_harness.differences(killed, whole) == []


def children(pid):
    return [
        int(each)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for each in (task / "children").read_text().split()
    ]


def trainer(pid):
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(each.decode().split("=", 1) for each in variables if b"=" in each).get(
        "PADDLE_TRAINER_ID"
    )
