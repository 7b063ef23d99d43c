"""The networks whose steps are timed."""

from pathlib import Path

import pytest

from paddle_resnet import kernels
from paddle_resnet.benchmark import convolution_times, step_profile
from paddle_resnet.benchmark.step_speed import Step, build, stem_of
from paddle_resnet.errors import ModelError
from paddle_resnet.kernels import build as build_operator
from paddle_resnet.kernels.algorithm_choice import choices_file, forced
from paddle_resnet.models import option_names

PARTS = ("forward", "data", "weights")


def test_a_stem_is_for_networks_that_can_choose():
    assert list(build("resnet18", "cifar").conv1.conv.weight.shape) == [64, 3, 3, 3]
    assert list(build("resnet18", "imagenet").conv1.conv.weight.shape) == [64, 3, 7, 7]
    assert "stem" not in option_names("speedrun_resnet")
    assert stem_of("resnet18", None) == "cifar"
    assert stem_of("resnet18", "imagenet") == "imagenet"
    assert stem_of("speedrun_resnet", None) is None
    with pytest.raises(ModelError, match="nin has no choice of stems"):
        stem_of("nin", "imagenet")
    with pytest.raises(ModelError, match="resnet19"):
        stem_of("resnet19", "cifar")


def test_a_step_trains():
    step = Step(model="speedrun_resnet", batch_size=2, image_size=16)
    before = step.network.fc.weight.numpy()
    assert step.run("off") > 0
    assert (step.network.fc.weight.numpy() != before).any()


def test_a_profile_names_the_algorithm_of_each_convolution():
    with kernels.use("auto"):
        library = build_operator.library()
    if library is None:
        pytest.skip("the CPU operator cannot be built here")
    step = {"model": "speedrun_resnet", "batch_size": 2, "image_size": 16}
    with forced(library, "direct"):
        metrics = step_profile.measure(rounds=1, precision="float32", **step)
    found = {row[part]["algorithm"] for row in metrics["rows"] for part in PARTS if part in row}
    assert found <= {"direct", "winograd", "gemm"}
    assert "direct" in found
    assert all("algorithm" not in row["norm"] for row in metrics["rows"] if "norm" in row)
    table = step_profile.text(metrics)
    assert " d" in table.splitlines()[1]
    assert table.splitlines()[-1].startswith("computed by: d direct convolution")


def test_every_candidate_is_timed_apart_from_what_is_kept():
    with kernels.use("auto"):
        library = build_operator.library()
    if library is None:
        pytest.skip("the CPU operator cannot be built here")
    step = {"model": "resnet20", "batch_size": 2, "image_size": 16, "precision": "float32"}
    Step(**step).run("require")
    kept = choices_file(Path(library._name).name)
    before = kept.read_bytes()
    metrics = convolution_times.measure(**step)
    assert kept.read_bytes() == before
    directions = {row["direction"] for row in metrics["rows"]}
    assert {"forward", "inference", "data", "weights"} <= directions
    assert {row["shape"] for row in metrics["rows"]} >= {"16->16 3x3 /1 at 16x16"}
    for row in metrics["rows"]:
        assert len(row["milliseconds"]) > 1
        assert row["milliseconds"][row["chosen"]] == min(row["milliseconds"].values())
    table = convolution_times.text(metrics).splitlines()
    assert len(table) == len(metrics["rows"]) + 2
    assert [row.split()[-2] for row in table[1:-1]] == [row["chosen"] for row in metrics["rows"]]
