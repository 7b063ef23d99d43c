"""What may stand on the shortcut, and where may the ReLU stand? Untrained networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from ..context import Context
from ..drawing.figure import FigureSpec, Line, Panel
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.block_walk import blocks, residual_function, shortcut, stem
from ..shared.bn_modes import batch_statistics
from ..shared.cifar_networks import cifar_network
from ..shared.cifar_subset import Subset
from ..shared.signal_profile import signal_profile

VERSION = 1
SETTINGS: dict[str, Any] = {"depths": [20, 56, 110], "width": 16, "size": 32, "images": 60}
FULL: dict[str, Any] = {"images": 200}
#: Name: residual, options of the network.
VARIANTS: dict[str, tuple[bool, dict[str, Any]]] = {
    "A": (True, {"shortcut": "A"}),
    "B": (True, {"shortcut": "B"}),
    "C": (True, {"shortcut": "C"}),
    "early ReLU": (True, {"early_relu": True}),
    "pre-activation": (True, {"block": "preact_basic"}),
    "plain": (False, {}),
}
TONES = {
    "A": "residual",
    "B": "zero",
    "C": "violet",
    "early ReLU": "rose",
    "pre-activation": "neutral",
    "plain": "plain",
}


def measure(context: Context) -> None:
    """Measure the profile of every variant, and F's share of the variance at each sum."""
    settings = context.settings
    subset = context.images("train", settings["images"], 0, settings["size"])
    cases = [
        (name, depth, seed)
        for seed in context.seeds
        for depth in settings["depths"]
        for name in VARIANTS
    ]
    context.plan(float(depth) for _, depth, _ in cases)
    networks: list[dict[str, Any]] = []
    context.results["networks"] = networks
    for name, depth, seed in cases:
        context.step(f"{name}, {depth} layers, seed {seed}")
        residual, options = VARIANTS[name]
        network = cifar_network(depth, residual, settings["width"], seed=seed, **options)
        with batch_statistics(network):
            found = signal_profile(network, subset)
            share = _share_of_f(network, subset) if name in ("A", "B", "C") else None
        networks.append(
            {
                "name": name,
                "depth": depth,
                "seed": seed,
                "parameters": _trainable(network),
                "ratio": found.ratio,
                "std": found.std,
                "mean": found.mean,
                "gradient": found.gradient,
                "loss": found.loss,
                "share_of_f": share,
            }
        )


def _share_of_f(network: paddle.nn.Layer, subset: Subset) -> list[float]:
    """Return Var F / (Var F + Var s) at the sum of every block."""
    shares = []
    with paddle.no_grad():
        x = stem(network, paddle.to_tensor(subset.images))
        for _, block in blocks(network):
            f, s = residual_function(block, x), shortcut(block, x)
            f_var, s_var = (float(t.numpy().astype(np.float64).var()) for t in (f, s))
            shares.append(f_var / (f_var + s_var))
            x = block(x)
    return shares


def _trainable(network: paddle.nn.Layer) -> int:
    return int(sum(p.size for p in network.parameters() if not p.stop_gradient))


def _pick(results: dict[str, Any], name: str, depth: int) -> list[dict[str, Any]]:
    return [n for n in results["networks"] if n["name"] == name and n["depth"] == depth]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Compare C with A in the gradient's ratio, and early ReLU with A in the mean."""
    depths = sorted({network["depth"] for network in results["networks"]})
    middle, deep = depths[len(depths) // 2], depths[-1]
    of_c, of_a = (_pick(results, name, middle) for name in ("C", "A"))
    times = worst([c["ratio"] / a["ratio"] for c, a in zip(of_c, of_a)])
    early, late = (_pick(results, name, deep) for name in ("early ReLU", "A"))
    drift = worst([e["mean"][-1] / a["mean"][-1] for e, a in zip(early, late)])
    rules = [
        Rule("projections", f"R{middle}(C)/R{middle}(A)", times, 10.0, ratio=True),
        Rule("early", f"mean{deep}(early ReLU)/mean{deep}(A)", drift, 2.0, ratio=True),
    ]
    return rules, {"middle": middle, "deep": deep, "times": times, "drift": drift}


def table(results: dict[str, Any]) -> Table:
    """Return R, mean, loss and parameters of every variant and depth."""
    rows = []
    for depth in sorted({network["depth"] for network in results["networks"]}):
        for name in VARIANTS:
            found = _pick(results, name, depth)
            if found:
                rows.append(
                    [
                        f"{name}, {depth}",
                        float(np.mean([n["ratio"] for n in found])),
                        float(np.mean([n["mean"][-1] for n in found])),
                        float(np.mean([n["loss"] for n in found])),
                        found[0]["parameters"],
                    ]
                )
    return Table(["network", "ratio", "mean", "loss", "parameters"], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw R against depth, the mean along the blocks, and F's share at each sum."""
    depths = sorted({network["depth"] for network in results["networks"]})
    against_depth = []
    for name in VARIANTS:
        y = [float(np.mean([n["ratio"] for n in _pick(results, name, d)])) for d in depths]
        against_depth.append(Line(name, depths, y, TONES[name], dashed=name == "plain"))
    deep = depths[-1]
    means = [
        Line(name, list(range(len(found["mean"]))), found["mean"], TONES[name])
        for name in ("A", "early ReLU")
        for found in _pick(results, name, deep)[:1]
    ]
    shares = [
        Line(
            name,
            list(range(1, len(found["share_of_f"]) + 1)),
            found["share_of_f"],
            TONES[name],
        )
        for name in ("A", "C")
        for found in _pick(results, name, deep)[:1]
    ]
    panels = [
        Panel(
            "R against depth",
            "layers",
            "R = gradient at the stem / at the last block",
            against_depth,
            x_log=True,
            y_log=True,
        ),
        Panel(f"Mean of the activations, {deep} layers", "block", "mean", means),
        Panel(
            f"Share of F at the sum, {deep} layers",
            "block",
            "Var F / (Var F + Var s)",
            shares,
            y_range=(0.0, 1.0),
        ),
    ]
    return FigureSpec(panels, columns=3)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return the ratios R of the first seed beside those of the reference run."""
    expected = {
        "A": (8.0, 30.0, 64.0),
        "B": (11.0, 88.0, 315.0),
        "C": (18.0, 1.96e3, 1.0e6),
        "early ReLU": (6.0, 11.0, 23.0),
        "pre-activation": (28.0, 167.0, 556.0),
    }
    return [
        Reference(f"R, {name}, {depth}", _pick(results, name, depth)[0]["ratio"], value, 0.05, True)
        for name, values in expected.items()
        for depth, value in zip((20, 56, 110), values)
    ]
