"""Does weight decay turn a useless block into the identity? Norms and convolutions scaled down."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from ..context import Context
from ..drawing.figure import FigureSpec, Level, Line, Panel, seed_lines
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.added_blocks import (
    branch_ratios,
    logits,
    scale_norms,
    settle_added,
    with_added_blocks,
)
from ..shared.cifar_networks import scale_convolutions
from ..shared.cifar_subset import Subset
from ..studied_network import images_for, trained_network

VERSION = 2
SETTINGS: dict[str, Any] = {
    "factors": [1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.0],
    "convolution_factors": [1.0, 0.5, 0.1],
    "test_images": 500,
    "compared_images": 250,
    "settle_images": 1280,
    "learning_rate": 0.1,
    "weight_decay": 1e-4,
}
FULL: dict[str, Any] = {"test_images": 10000, "convolution_factors": [1.0, 0.8, 0.6, 0.4, 0.2, 0.1]}
DEFAULT = "resnet20"
CURVES = ("norms", "convolutions", "no BN")
#: Of the curves, in tables and drawings.
NAMES = {"norms": "gamma, beta × f", "convolutions": "convolutions × f", "no BN": "no BN: × f"}
#: May be lost by chance on 500 images from one factor to the next.
SLACK = 0.01


def measure(context: Context) -> None:
    """Scale what decay would scale in one added block per stage; measure accuracy and F."""
    settings = context.settings
    trained = trained_network(context, DEFAULT)
    test = images_for(context, trained, "test", settings["test_images"], 0)
    train = images_for(context, trained, "train", settings["settle_images"], 1)
    few = test.images[: settings["compared_images"]]
    cases = [("norms", f) for f in settings["factors"]]
    cases += [("convolutions", f) for f in settings["convolution_factors"]]
    cases += [("no BN", f) for f in settings["factors"]]
    costs = [8.0, *(5.0 if kind == "convolutions" else 1.0 for kind, _ in cases)]
    context.plan(costs * len(context.seeds))
    base = logits(trained.network, test.images)
    rows: list[dict[str, Any]] = []
    context.results.update(
        base=_accuracy(base, test),
        rows=rows,
        half_life_steps=math.log(2) / (settings["learning_rate"] * settings["weight_decay"]),
    )
    for seed in context.seeds:
        context.step(f"adding and settling a block per stage, seed {seed}")
        settled, added = with_added_blocks(trained.network, 1, "residual", seed)
        settle_added(settled, added, train)
        bare, added_bare = with_added_blocks(trained.network, 1, "no BN", seed)
        for kind, factor in cases:
            context.step(f"{kind} × {factor:g}, seed {seed}")
            original, blocks = (bare, added_bare) if kind == "no BN" else (settled, added)
            # One copy of both, so that the blocks remain those of the network.
            network, changed = copy.deepcopy((original, blocks))
            if kind == "norms":
                scale_norms(changed, factor)
            else:
                for block in changed:
                    scale_convolutions(block, factor)
            if kind == "convolutions":
                settle_added(network, changed, train)
            found = logits(network, test.images)
            rows.append(
                {
                    "kind": kind,
                    "factor": factor,
                    "seed": seed,
                    "accuracy": _accuracy(found, test),
                    "different": int((found != base).sum()),
                    "branch_ratios": branch_ratios(network, changed, few),
                }
            )


def _accuracy(found: np.ndarray, test: Subset) -> float:
    return float((found.argmax(axis=1) == test.labels).mean())


def _curves(results: dict[str, Any], kind: str) -> list[list[dict[str, Any]]]:
    """Return the rows of one kind, from factor 1 down, seed by seed."""
    rows = [row for row in results["rows"] if row["kind"] == kind]
    return [
        [r for r in rows if r["seed"] == seed] for seed in dict.fromkeys(r["seed"] for r in rows)
    ]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge the way of gamma and beta to zero, and that convolutions alone do not take it."""
    norms = _curves(results, "norms")
    accuracies = [[row["accuracy"] for row in curve] for curve in norms]
    drop = worst([max(a - b for a, b in zip(c, c[1:])) for c in accuracies], above=False)
    different = max(curve[-1]["different"] for curve in norms)
    flat = [[row["accuracy"] for row in curve] for curve in _curves(results, "convolutions")]
    span = worst([max(c) - min(c) for c in flat], above=False)
    rules = [
        Rule(
            "monotone", "largest loss of accuracy from f to the next smaller f", drop, SLACK, False
        ),
        Rule("identity", "logits that differ from the base, f = 0", different, 1, False),
        Rule("flat", "change of accuracy, convolutions × f", span, 0.05, False),
    ]
    return rules, {
        "first": float(np.mean([curve[0] for curve in accuracies])),
        "last": float(np.mean([curve[-1] for curve in accuracies])),
        "flat": 100 * span,
        "steps": results["half_life_steps"],
    }


def table(results: dict[str, Any]) -> Table:
    """Return accuracy and ||F||/||x|| of every factor, means over the seeds."""
    rows = []
    for kind in CURVES:
        for of_seeds in zip(*_curves(results, kind)):
            factor = of_seeds[0]["factor"]
            ratios = np.mean([row["branch_ratios"] for row in of_seeds], axis=0)
            rows.append(
                [
                    NAMES[kind],
                    f"{factor:g}",
                    float(np.mean([row["accuracy"] for row in of_seeds])),
                    " / ".join(f"{ratio:.2f}" for ratio in ratios),
                    _steps(results, factor),
                ]
            )
    return Table(["kind", "factor", "accuracy", "ratio", "steps"], rows)


def _steps(results: dict[str, Any], factor: float) -> float:
    """Return the steps of pure decay to a factor, w_t = w_0 (1 - lr wd)^t."""
    return results["half_life_steps"] * -math.log2(factor) if factor else math.inf


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw accuracy and ||F||/||x|| against the factor."""
    tones = {"norms": "residual", "convolutions": "violet", "no BN": "neutral"}
    accuracy: list[Line] = []
    ratio: list[Line] = []
    for kind in CURVES:
        curves = _curves(results, kind)
        x = [row["factor"] for row in curves[0]]
        y = [[row["accuracy"] for row in curve] for curve in curves]
        accuracy += seed_lines(NAMES[kind], x, y, tones[kind])
        y = [[row["branch_ratios"][0] for row in curve] for curve in curves]
        ratio += seed_lines(NAMES[kind], x, y, tones[kind])
    return FigureSpec(
        [
            Panel(
                "Accuracy with one more block per stage",
                "factor f",
                "test accuracy",
                accuracy,
                [Level(results["base"], "base"), Level(0.1, "chance")],
                y_range=(0.0, 1.0),
                percent=True,
            ),
            Panel("Size of the branch, first stage", "factor f", "||F(x)|| / ||x||", ratio),
        ]
    )


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return accuracies on the way of gamma and beta beside those of the reference run."""
    expected = {1.0: (0.444, 0.12), 0.4: (0.888, 0.04), 0.1: (0.912, 0.03), 0.0: (0.922, 0.02)}
    rows = []
    for of_seeds in zip(*_curves(results, "norms")):
        factor = of_seeds[0]["factor"]
        if factor in expected:
            mean = float(np.mean([row["accuracy"] for row in of_seeds]))
            rows.append(
                Reference(f"accuracy, gamma and beta × {factor:g}", mean, *expected[factor])
            )
    return rows
