"""Fully trained networks of full size: how a run is shipped, and the studies that take them in."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, CLASSES
from paddle_resnet.errors import UserError
from paddle_resnet.models import create_model
from paddle_resnet.models.trained_model import load_trained, model_metadata
from paddle_resnet.studies import degradation, depth_use, landscape, lesion, paths
from paddle_resnet.studies.context import Context
from paddle_resnet.studies.results.study_page import render_study
from paddle_resnet.studies.studied_network import full_size_networks
from paddle_resnet.weights import pretrained, save_weights

_spec = importlib.util.spec_from_file_location(
    "ship_network", Path(__file__).parents[2] / "tools" / "ship_network.py"
)
tool = sys.modules["ship_network"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def test_a_shipped_network_keeps_its_answers_and_its_facts_in_half_the_bytes(tmp_path):
    target = tmp_path / "resnet20.safetensors"
    row = tool.ship("pretrained:resnet20", target, "sample", images=50)
    own = pretrained.bundled_weights()["resnet20"]
    assert target.stat().st_size < 0.55 * own.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert "269,722 parameters" in row
    before, after = load_file(own), load_file(target)
    for name, array in before.items():
        half = after[name].dtype == np.float16
        assert half == (array.ndim > 1), name
        if not half:
            assert np.array_equal(after[name], array), name
    trained = load_trained(target)
    assert trained.classes == list(CLASSES)
    assert trained.mean == load_trained("pretrained:resnet20").mean


def test_a_network_is_not_shipped_where_its_accuracy_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="nothing is written"):
        tool.ship("pretrained:resnet20", tmp_path / "resnet20.safetensors", "sample", images=20)
    assert list(tmp_path.iterdir()) == []


def test_a_shipped_file_has_the_name_of_its_network(tmp_path):
    with pytest.raises(UserError, match=r"resnet20\.safetensors"):
        tool.ship("pretrained:resnet20", tmp_path / "resnet56.safetensors", "sample", images=20)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Untrained networks of width 4 in the place of those of full size."""
    for name in ("plain20", "resnet20", "plain56", "resnet56"):
        options = {"num_classes": 10, "widths": [4, 8, 16]}
        mean, std = list(CIFAR10_MEAN), list(CIFAR10_STD)
        metadata = model_metadata(name, options, list(CLASSES), mean, std, [3, 16, 16])
        save_weights(create_model(name, **options), tmp_path / f"{name}.safetensors", metadata)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)


@pytest.mark.parametrize(
    ("study", "settings", "networks", "rules"),
    [
        (
            lesion,
            {"test_images": 20, "sets": 1, "most_removed": 1, "swap_up_to_blocks": 2},
            ["resnet20", "plain20", "resnet56"],
            {"plain_full", "full"},
        ),
        (
            paths,
            {"images": 10, "sets": 1, "exhaustive_up_to_blocks": 2},
            ["resnet20", "resnet56"],
            {"deep_trained"},
        ),
        (
            depth_use,
            {"test_images": 20, "train_images": 40, "refine_images": 10, "settle_images": 10},
            ["resnet20", "resnet56"],
            {"small_deep"},
        ),
        (
            landscape,
            {"points": 3, "lines": 1, "images": 10, "images_deep": 10, "plane": False,
             "train_images": 60, "epochs_at_equal_loss": 1, "full_size": True,
             "images_full_size": 10},
            ["plain20", "resnet20", "plain56", "resnet56"],
            {"jagged_trained", "smooth_trained"},
        ),
    ],
    ids=["lesion", "paths", "depth-use", "landscape"],
)  # fmt: skip
def test_studies_take_shipped_networks_in(shipped, study, settings, networks, rules):
    result = study(data="sample", **settings)
    found = result.results["networks"]
    assert [name for name in found if not name.startswith("mini_")] == networks
    assert rules <= {rule.key for rule in result.verdict.rules} <= set(result.card.rules)
    page = render_study(result)
    assert all(re.search(rf"\b{name}\b", page) for name in networks)


def test_degradation_ends_with_shipped_networks(shipped):
    settings = {"depths": [8, 14], "width": 4, "train_images": 60, "test_images": 20, "epochs": 1}
    result = degradation(data="sample", seeds=1, batch_size=20, probe_images=10, **settings)
    loss = {name: one["train_loss"] for name, one in result.results["trained"].items()}
    rules = {rule.key: rule.value for rule in result.verdict.rules}
    assert rules["trained_plain"] == loss["plain56"] - loss["plain20"]
    assert rules["trained_residual"] == loss["resnet56"] - loss["resnet20"]
    assert [row[0] for row in result.table.rows[-4:]] == list(loss)
    assert len(result.figure_spec.panels) == 5


def test_they_can_be_left_out(shipped):
    def found(**changes):
        context = Context(
            "paths", {"full_size": True, **changes.pop("settings", {})}, [0], **changes
        )
        return list(full_size_networks(context, "resnet56", "resnet110"))

    assert found() == ["resnet56"]
    assert found(settings={"full_size": False}) == []
    assert found(model="runs/mine") == []
