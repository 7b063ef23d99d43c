"""Facts of exported files come from anyone."""

import json

import numpy as np
import pytest

from paddle_resnet.data import BatchLoader
from paddle_resnet.deploy.manifest import Manifest, top_classes
from paddle_resnet.errors import DeployError

FACTS = {
    "model": "resnet20",
    "options": {"num_classes": 2},
    "classes": ["cat", "dog"],
    "mean": [0.5, 0.25, 0.125],
    "std": [0.5, 0.3, 0.2],
    "input_shape": [3, 8, 8],
    "centre": 0.875,
    "precision": "int8",
    "paddle_resnet": "1.0",
    "provenance": {"calibration_images": 3},
}


def texts(**changes):
    return {key: json.dumps(value) for key, value in {**FACTS, **changes}.items()}


def test_facts_survive_the_way_through_texts():
    manifest = Manifest(**FACTS)
    assert Manifest.from_strings(manifest.to_strings(), "f") == manifest
    assert Manifest.from_strings(texts(), "f") == manifest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""),
        ("model", "a\nb"),
        ("model", 3),
        ("options", []),
        ("classes", []),
        ("classes", "cat"),
        ("classes", ["a", 1]),
        ("classes", ["\x1b[31m"]),
        ("mean", [1, 2]),
        ("mean", ["a", "b", "c"]),
        ("mean", [float("nan"), 0, 0]),
        ("mean", [1e30, 0, 0]),
        ("std", [0, 1, 1]),
        ("std", [-1, 1, 1]),
        ("std", [True, True, True]),
        ("input_shape", [3, 8]),
        ("input_shape", [3, 8, 10**9]),
        ("input_shape", [3, 8, -8]),
        ("input_shape", [3, 8.0, 8]),
        ("input_shape", [10**6, 1, 1]),
        ("input_shape", [True, 8, 8]),
        ("centre", 0),
        ("centre", 1.5),
        ("centre", float("nan")),
        ("precision", "int4"),
        ("precision", ["int8"]),
        ("paddle_resnet", 1),
        ("provenance", []),
    ],
)
def test_invalid_facts_are_named(name, value):
    with pytest.raises(DeployError, match=name):
        Manifest.from_strings(texts(**{name: value}), "file.onnx")


@pytest.mark.parametrize("name", ["model", "options", "classes", "mean", "std", "input_shape"])
def test_missing_facts_are_named(name):
    given = texts()
    del given[name]
    with pytest.raises(DeployError, match=f"no {name}"):
        Manifest.from_strings(given, "file.onnx")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "nope", "1e", '"\\ud800"x'])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(DeployError, match="classes"):
        Manifest.from_strings({**texts(), "classes": text}, "file.onnx")


@pytest.mark.parametrize(("mean", "std"), [(FACTS["mean"], FACTS["std"]), (None, None)])
def test_the_normalization_is_the_loaders(mean, std):
    images = np.random.RandomState(0).randint(0, 256, (5, 3, 8, 8)).astype(np.uint8)
    loader = BatchLoader(images, np.zeros(5, np.int64), 5, mean=mean, std=std)
    scale, shift = Manifest(**{**FACTS, "mean": mean, "std": std}).affine()
    np.testing.assert_array_equal(images.astype(np.float32) * scale + shift, next(iter(loader))[0])


def test_top_classes_are_sorted_and_at_most_all():
    names = ["a", "b", "c"]
    top = top_classes(np.array([0.25, 0.5, 0.25], np.float32), names, 5)
    assert top == [
        {"class": "b", "probability": 0.5},
        {"class": "a", "probability": 0.25},
        {"class": "c", "probability": 0.25},
    ]
    assert top_classes(np.array([0.25, 0.5, 0.25]), names, 1) == top[:1]
