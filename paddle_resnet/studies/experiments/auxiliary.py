"""What do GoogLeNet's side heads do? Gradients of untrained networks with and without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from ...models import GoogLeNet
from ..context import Context
from ..drawing.figure import FigureSpec, Line, Panel
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.cifar_networks import scale_convolutions

VERSION = 1
SETTINGS: dict[str, Any] = {
    "pixels": 96,
    "images": 20,
    "images_with_bn": 16,
    "images_without_bn": 8,
    "factors": [1.0, 0.7, 0.5, 0.35],
}
FULL: dict[str, Any] = {"images": 60, "images_with_bn": 60, "images_without_bn": 30}
#: Where gradients are measured, from the input on; the heads are behind 4a and 4d.
PLACES = {
    "conv1": "conv1",
    "conv3": "conv3",
    "3a": "inception3a.branch1",
    "4a": "inception4a.branch1",
    "4e": "inception4e.branch1",
    "5b": "inception5b.branch1",
}
ABOVE_THE_HEADS = ("4e", "5b")
SMALL = 0.35


def measure(context: Context) -> None:
    """Measure gradient norms at six places, for the loss alone and with those of the heads."""
    settings = context.settings
    subset = context.images("train", settings["images"], 0)
    side = [settings["pixels"]] * 2
    images = F.interpolate(paddle.to_tensor(subset.images), side, mode="bilinear")
    labels = paddle.to_tensor(subset.labels)
    cases = [("BN", 1.0, seed) for seed in context.seeds]
    cases += [("no BN", g, seed) for g in settings["factors"] for seed in context.seeds[:2]]
    context.plan(1.0 if norm == "BN" else 0.7 for norm, _, _ in cases)
    runs: list[dict[str, Any]] = []
    context.results["runs"] = runs
    for norm, factor, seed in cases:
        context.step(f"{norm}, g = {factor:g}, seed {seed}")
        options: dict[str, Any] = {} if norm == "BN" else {"norm_layer": None}
        count = settings["images_with_bn" if norm == "BN" else "images_without_bn"]
        paddle.seed(seed)
        network = GoogLeNet(num_classes=10, aux_heads=True, **options)
        scale_convolutions(network, factor)
        alone, together = (
            _gradient_norms(network, images[:count], labels[:count], heads, seed)
            for heads in (False, True)
        )
        runs.append(
            {"norm": norm, "factor": factor, "seed": seed, "alone": alone, "with_heads": together}
        )


def _gradient_norms(
    network: GoogLeNet, images: paddle.Tensor, labels: paddle.Tensor, heads: bool, seed: int
) -> dict[str, float]:
    """Return the norm of the gradient of each place's convolution."""
    criterion = nn.CrossEntropyLoss()
    loss = network.training_loss(criterion) if heads else criterion
    network.train()
    paddle.seed(seed + 1000)  # dropout draws the same units for both losses
    value = loss(network(images), labels)
    weights = [_layer(network, place).conv.weight for place in PLACES.values()]
    gradients = paddle.grad(value, weights)
    return {
        place: float(np.linalg.norm(g.numpy().astype(np.float64)))
        for place, g in zip(PLACES, gradients)
    }


def _layer(network: nn.Layer, path: str) -> nn.Layer:
    for name in path.split("."):
        network = getattr(network, name)
    return network


def _runs(results: dict[str, Any], norm: str, factor: float) -> list[dict[str, Any]]:
    return [r for r in results["runs"] if r["norm"] == norm and r["factor"] == factor]


def _ratios(runs: list[dict[str, Any]], place: str) -> list[float]:
    return [run["with_heads"][place] / run["alone"][place] for run in runs]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge what the heads add at the first convolution, with and without BN."""
    smallest = min(run["factor"] for run in results["runs"])
    small = _ratios(_runs(results, "no BN", smallest), "conv1")
    normed = _ratios(_runs(results, "BN", 1.0), "conv1")
    above = [
        abs(run["with_heads"][place] - run["alone"][place])
        for run in results["runs"]
        for place in ABOVE_THE_HEADS
    ]
    rules = [
        Rule(
            "before_bn",
            f"with/without heads, conv1, no BN, g={smallest:g}",
            worst(small),
            5,
            True,
            True,
        ),
        Rule("with_bn", "with/without heads, conv1, BN", worst(normed, False), 1.5, False, True),
        Rule(
            "above",
            "gradients above the heads that differ",
            float(np.count_nonzero(above)),
            1,
            False,
        ),
        Rule("regularize", "test accuracy gained by the heads", None, 0.0),
    ]
    return rules, {
        "small": float(np.mean(small)),
        "normed": float(np.mean(normed)),
        "factor": smallest,
    }


def table(results: dict[str, Any]) -> Table:
    """Return with/without at every place."""
    rows = []
    for norm, factor in dict.fromkeys((r["norm"], r["factor"]) for r in results["runs"]):
        runs = _runs(results, norm, factor)
        name = "BN" if norm == "BN" else f"no BN, g={factor:g}"
        rows.append([name, *(float(np.mean(_ratios(runs, place))) for place in PLACES)])
    return Table(["network", *PLACES], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw gradient norms along the depth, without BN and small weights, and with BN."""
    smallest = min(run["factor"] for run in results["runs"])
    panels = []
    for title, norm, factor in (
        (f"no BN, g = {smallest:g}", "no BN", smallest),
        ("BN", "BN", 1.0),
    ):
        lines = []
        for label, key, tone in (
            ("main loss alone", "alone", "plain"),
            ("with side heads", "with_heads", "residual"),
        ):
            norms = [[run[key][place] for place in PLACES] for run in _runs(results, norm, factor)]
            mean = np.exp(np.mean(np.log(norms), axis=0))
            lines.append(Line(label, list(range(len(PLACES))), mean.tolist(), tone))
        panels.append(
            Panel(
                title,
                "place; heads behind 4a and 4d",
                "gradient norm of the convolution",
                lines,
                y_log=True,
                x_names=list(PLACES),
            )
        )
    return FigureSpec(panels)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return the ratios at the first convolution beside those of the reference run."""
    small = float(np.mean(_ratios(_runs(results, "no BN", SMALL), "conv1")))
    normed = float(np.mean(_ratios(_runs(results, "BN", 1.0), "conv1")))
    return [
        Reference("with/without, conv1, no BN, g=0.35", small, 18.5, 0.5, True),
        Reference("with/without, conv1, BN", normed, 1.10, 0.2, True),
    ]
