"""Is deeper worse - on the training set - and does the shortcut repair it? Short trainings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..context import Context
from ..drawing.figure import Bars, FigureSpec, Level, Line, Panel, seed_lines
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.bn_modes import batch_statistics
from ..shared.cifar_networks import cifar_network
from ..shared.short_training import loss_and_accuracy, train
from ..shared.signal_profile import signal_profile
from ..studied_network import full_size_networks, images_for

VERSION = 1
SETTINGS: dict[str, Any] = {
    "depths": [20, 56],
    "width": 8,
    "size": 16,
    "train_images": 5000,
    "test_images": 2000,
    "epochs": 4,
    "batch_size": 64,
    "learning_rate": 0.1,
    "zero_gamma": True,
    "probe_images": 60,
    "full_size": True,
}
FULL: dict[str, Any] = {"train_images": 50000, "epochs": 10, "test_images": 10000}
KINDS = ("plain", "residual")
#: The end point: networks of full size and trained in full, where the package has all of them.
TRAINED = ("plain20", "plain56", "resnet20", "resnet56")


def measure(context: Context) -> None:
    """Train each network, plain and residual, shallow and deep, and measure it before and after."""
    settings = context.settings
    subset = context.images("train", settings["train_images"], 0, settings["size"])
    test = context.images("test", settings["test_images"], 0, settings["size"])
    probe = context.images("train", settings["probe_images"], 1, settings["size"])
    cases = [
        (kind, depth, seed)
        for seed in context.seeds
        for depth in settings["depths"]
        for kind in KINDS
    ]
    epochs = settings["epochs"]
    trained = full_size_networks(context, *TRAINED)
    trained = trained if len(trained) == len(TRAINED) else {}
    costs = [float(depth) for _, depth, _ in cases for _ in range(epochs)]
    context.plan(costs + [130.0 if "56" in name else 45.0 for name in trained])
    runs: list[dict[str, Any]] = []
    context.results["runs"] = runs
    for kind, depth, seed in cases:
        options: dict[str, Any] = {}
        if kind == "residual" and settings["zero_gamma"]:
            options["zero_init_residual"] = True
        network = cifar_network(depth, kind == "residual", settings["width"], seed=seed, **options)
        with batch_statistics(network):
            before = signal_profile(network, probe)
        losses = train(
            network,
            subset,
            epochs=epochs,
            seed=seed,
            batch_size=settings["batch_size"],
            peak=settings["learning_rate"],
            on_epoch=lambda epoch, k=kind, d=depth, s=seed: context.step(
                f"{k} {d}, seed {s}, epoch {epoch + 1} of {epochs}"
            ),
        )
        loss, accuracy = loss_and_accuracy(network, test)
        running = signal_profile(network, probe)
        with batch_statistics(network):
            after = signal_profile(network, probe)
        runs.append(
            {
                "kind": kind,
                "depth": depth,
                "seed": seed,
                "loss": losses,
                "test_loss": loss,
                "test_accuracy": accuracy,
                "cosine_before": before.cosine[-1],
                "cosine_after": after.cosine[-1],
                "cosine_after_running": running.cosine[-1],
                "ratio_before": before.ratio,
                "ratio_after": after.ratio,
                "ratio_after_running": running.ratio,
            }
        )
    for name, one in trained.items():
        context.step(name)
        found = {}
        for split in ("train", "test"):
            part = images_for(context, one, split, settings["test_images"], 0)
            found[f"{split}_loss"], found[f"{split}_accuracy"] = loss_and_accuracy(
                one.network, part
            )
        context.results.setdefault("trained", {})[name] = found


def _runs(results: dict[str, Any], kind: str, depth: int) -> list[dict[str, Any]]:
    return [r for r in results["runs"] if r["kind"] == kind and r["depth"] == depth]


def _depths(results: dict[str, Any]) -> list[int]:
    return sorted({run["depth"] for run in results["runs"]})


def _gaps(results: dict[str, Any], kind: str) -> list[float]:
    """Return the last epoch's training loss, deepest minus shallowest network, seed by seed."""
    depths = _depths(results)
    shallow, deep = (_runs(results, kind, depth) for depth in (depths[0], depths[-1]))
    return [d["loss"][-1] - s["loss"][-1] for s, d in zip(shallow, deep)]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge that plain networks get worse with depth and residual ones do not."""
    plain, residual = _gaps(results, "plain"), _gaps(results, "residual")
    depths = _depths(results)
    difference = worst([p - r for p, r in zip(plain, residual)])
    rules = [
        Rule("plain", f"train loss, plain-{depths[-1]} − plain-{depths[0]}", worst(plain), 0.25),
        Rule("repaired", "this gap, plain − residual", difference, 0.2),
        Rule(
            "as_good", "|mean gap| of the residual pair", abs(float(np.mean(residual))), 0.15, False
        ),
    ]
    if len(results.get("trained", {})) == len(TRAINED):
        loss = {name: found["train_loss"] for name, found in results["trained"].items()}
        of_plain, of_residual = (loss[f"{k}56"] - loss[f"{k}20"] for k in ("plain", "resnet"))
        rules += [
            Rule("trained_plain", "train loss, plain56 − plain20", of_plain, 0.0),
            Rule("trained_residual", "train loss, resnet56 − resnet20", of_residual, 0.0, False),
        ]
    return rules, {
        "shallow": depths[0],
        "deep": depths[-1],
        "plain": float(np.mean(plain)),
        "residual": float(np.mean(residual)),
    }


def table(results: dict[str, Any]) -> Table:
    """Return losses, accuracy, and the state of the last activations of every run."""
    rows = [
        [
            f"{r['kind']} {r['depth']}, seed {r['seed']}",
            r["loss"][-1],
            r["test_loss"],
            r["test_accuracy"],
            r["cosine_after"],
            r["ratio_before"],
            r["ratio_after"],
        ]
        for r in results["runs"]
    ]
    rows += [
        [name, r["train_loss"], r["test_loss"], r["test_accuracy"], None, None, None]
        for name, r in results.get("trained", {}).items()
    ]
    columns = ["network", "loss", "test_loss", "accuracy", "cosine", "ratio_before", "ratio_after"]
    return Table(columns, rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw training loss over epochs on one scale, and what became of activations and gradients."""
    depths, panels = _depths(results), []
    top = max(max(run["loss"]) for run in results["runs"]) * 1.03
    low = min(min(run["loss"]) for run in results["runs"]) * 0.95
    for kind in KINDS:
        lines: list[Line] = []
        for shade, depth in zip((0, 2), (depths[0], depths[-1])):
            of_seeds = [run["loss"] for run in _runs(results, kind, depth)]
            epochs = list(range(1, len(of_seeds[0]) + 1))
            lines += seed_lines(f"{kind}-{depth}", epochs, of_seeds, kind, shade=shade)
        chance = [Level(math.log(10), "ln 10, chance")]
        panels.append(
            Panel(f"Training loss, {kind}", "epoch", "loss", lines, chance, y_range=(low, top))
        )
    names = [f"{kind}-{depth}" for kind in KINDS for depth in (depths[0], depths[-1])]
    cosine, before, after = [], [], []
    for i, name in enumerate(names):
        kind, depth = name.split("-")
        found = _runs(results, kind, int(depth))
        shade = 0 if int(depth) == depths[0] else 2
        value = float(np.mean([r["cosine_after"] for r in found]))
        cosine.append(Bars("", [i], [value], kind, shade))
        for bars, key, side in ((before, "ratio_before", -0.2), (after, "ratio_after", 0.2)):
            # R is of several powers of ten: the geometric mean.
            value = float(np.exp(np.mean(np.log([r[key] for r in found]))))
            label = ("before" if side < 0 else "after") if i == 0 else ""
            tone = "neutral" if side < 0 else "rose"
            bars.append(Bars(label, [i + side], [value], tone, width=0.36))
    panels.append(
        Panel(
            "After training: do different images still differ?",
            "network",
            "mean cosine between images, last block",
            cosine,
            y_range=(0.0, 1.0),
            x_names=names,
        )
    )
    panels.append(
        Panel(
            "Gradient at the stem / at the last block",
            "network",
            "R",
            [*before, *after],
            y_log=True,
            x_names=names,
        )
    )
    if results.get("trained"):
        panels.append(_trained_panel(results["trained"]))
    return FigureSpec(panels)


def _trained_panel(trained: dict[str, Any]) -> Panel:
    names = list(trained)
    bars = []
    for i, name in enumerate(names):
        tone = "plain" if name.startswith("plain") else "residual"
        bars.append(Bars("", [i], [trained[name]["train_loss"]], tone, 2 if "56" in name else 0))
    title = "Full size, trained in full: training loss"
    return Panel(title, "network", "loss", bars, x_names=names)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return the last training losses beside those of the reference run."""
    expected = {
        ("plain", 20): 1.781,
        ("plain", 56): 2.297,
        ("residual", 20): 1.577,
        ("residual", 56): 1.589,
    }
    rows = []
    for (kind, depth), value in expected.items():
        mean = float(np.mean([run["loss"][-1] for run in _runs(results, kind, depth)]))
        rows.append(Reference(f"train loss, {kind} {depth}", mean, value, 0.05))
    return rows
