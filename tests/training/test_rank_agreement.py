"""What is equal on all ranks: the checkpoint, losses, weights, statistics; and what is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each of two ranks said, by case."""
    out = tmp_path_factory.mktemp("ranks")
    line = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    script = Path(__file__).with_name("rank_agreement.py")
    line += ["--log_dir", str(out / "log"), str(script), str(out)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PADDLE_T")}
    done = subprocess.run(
        line,
        env={**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=out,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ranks = [json.loads((out / f"{rank}.json").read_text()) for rank in (0, 1)]
    return {case: [rank[case] for rank in ranks] for case in ranks[0]}


@pytest.mark.parametrize(
    ("case", "name", "value"),
    [
        ("same", "step-00000010.safetensors", 2),
        # The newest of rank 0 counts, whatever rank 1 has beside it.
        ("newest corrupt", "step-00000005.safetensors", 1),
        ("newer on rank 1", "step-00000005.safetensors", 1),
    ],
)
def test_all_ranks_get_the_newest_valid_checkpoint_of_rank_0(answers, case, name, value):
    for answer in answers[case]:
        assert (answer["name"], answer["value"]) == (name, [value] * 3)


def test_a_corrupt_one_is_reported_once_and_set_aside(answers):
    lines = [answer["lines"] for answer in answers["newest corrupt"]]
    assert len(lines[0]) == 1
    assert "step-00000010.safetensors' is corrupt" in lines[0][0]
    assert lines[1] == []


def test_no_rank_gets_one_where_rank_0_has_none(answers):
    assert [answer["none"] for answer in answers["none"]] == [True, True]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("other content", "reads another checkpoint"),
        ("absent on rank 1", "there is no checkpoint"),
        ("corrupt on rank 1", "is corrupt"),
    ],
)
def test_any_difference_is_an_error_on_all_ranks(answers, case, words):
    first, second = answers[case]
    assert first["error"] == second["error"] == "TrainingError"
    assert words in second["sentence"]
    for answer in (first, second):
        assert "All ranks must see the same run folder." in answer["sentence"]


def test_where_rank_0_has_none_left_all_ranks_say_so(answers):
    assert all("no checkpoint is left" in answer["sentence"] for answer in answers["all corrupt"])


def test_the_average_of_fit_begins_with_the_weights_of_rank_0(answers):
    first, second = answers["average"]
    assert first["weights"] == second["weights"]
    assert first["average"] == second["average"]
    np.testing.assert_allclose(first["average"], first["weights"], rtol=1e-6)


def test_ranks_draw_other_random_numbers(answers):
    first, second = (answer["drawn"] for answer in answers["training"])
    assert len(first) == len(second) == 1
    assert first != second


def test_statistics_of_a_network_are_means_over_the_ranks(answers):
    """0.9 of the old value and 0.1 of the mean of the shards' own."""
    first, second = (answer["state"] for answer in answers["training"])
    assert first == second
    images = np.arange(15).reshape(5, 3) ** 1.5
    shards = images[:2], images[2:]
    mean = np.mean([shard.mean(0) for shard in shards], axis=0)
    np.testing.assert_allclose(first["0._mean"], 0.1 * mean, rtol=1e-5)


def test_the_loss_is_the_mean_over_all_samples(answers):
    """The ranks have 2 and 3 samples."""
    first, second = answers["training"]
    assert first["losses"] == second["losses"]
    assert abs(first["own"] - second["own"]) > 0.01
    mean = (2 * first["own"] + 3 * second["own"]) / 5
    np.testing.assert_allclose(first["losses"], [mean], rtol=1e-5)
