"""Is "do nothing" easy to learn, and do extra layers do no harm? Blocks added to a network."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import paddle
from paddle.nn import functional as F

from ...errors import ModelError
from ..context import Context
from ..drawing.figure import Bars, FigureSpec, Level, Line, Panel, seed_lines
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.added_blocks import branch_ratios, logits, settle_added, with_added_blocks
from ..shared.cifar_subset import Subset
from ..studied_network import images_for, trained_network

VERSION = 2
SETTINGS: dict[str, Any] = {
    "counts": [1, 3, 9],
    "test_images": 1000,
    "compared_images": 256,
    "settle_images": 3200,
    "steps": 100,
    "batch_size": 64,
    "learning_rate": 0.01,
    "weight_decay": 5e-4,
}
FULL: dict[str, Any] = {"test_images": 10000, "steps": 800}
DEFAULT = "resnet20"
#: Kind of block: the most blocks per stage it is tried with.
KINDS = {"zero-gamma": 9, "plain": 3, "residual": 1, "dirac": 3}
FINE_TUNED = ("base", "zero-gamma", "plain")
CHECKS = 4  # how often accuracy is measured in fine-tuning
TONES = {"base": "neutral", "zero-gamma": "zero", "plain": "plain", "residual": "residual"}


def measure(context: Context) -> None:
    """Measure networks with added blocks as they are, then after some steps of fine-tuning."""
    settings = context.settings
    trained = trained_network(context, DEFAULT)
    test = images_for(context, trained, "test", settings["test_images"], 0)
    train = images_for(context, trained, "train", settings["settle_images"], 1)
    kinds = [(kind, n) for kind in KINDS for n in settings["counts"] if n <= KINDS[kind]]
    cases = [(kind, n, seed) for seed in context.seeds for kind, n in kinds]
    tuned = [(kind, seed) for seed in context.seeds for kind in FINE_TUNED]
    context.plan([1.0] + [1.0 + n / 2 for _, n, _ in cases] + [24.0] * len(tuned))
    context.step("the network as it is")
    base = logits(trained.network, test.images)
    rows: list[dict[str, Any]] = []
    context.results.update(base=_scores(base, test), variants=rows, finetune=[])
    for kind, count, seed in cases:
        context.step(f"{kind}, {count} more per stage, seed {seed}")
        try:
            network, added = with_added_blocks(trained.network, count, kind, seed)
        except ModelError:
            if kind != "dirac":
                raise
            continue  # bottlenecks: there is no block of two 3x3 convolutions to fill
        found = logits(network, test.images)
        few = settings["compared_images"]
        row = {
            "kind": kind,
            "count": count,
            "seed": seed,
            **_scores(found, test),
            "different": int((found[:few] != base[:few]).sum()),
            "max_difference": float(np.abs(found[:few] - base[:few]).max()),
        }
        if kind in ("plain", "residual") and count == 1:
            settle_added(network, added, train)
            row["settled_accuracy"] = _scores(logits(network, test.images), test)["accuracy"]
        rows.append(row)
    for kind, seed in tuned:
        context.step(f"fine-tuning, {kind}, seed {seed}")
        network, added = with_added_blocks(trained.network, int(kind != "base"), kind, seed)
        context.results["finetune"].append(
            {
                "kind": kind,
                "seed": seed,
                **_fine_tune(network, train, test, settings, seed),
                "branch_ratios": branch_ratios(network, added, test.images[:250]),
            }
        )


def _scores(found: np.ndarray, test: Subset) -> dict[str, float]:
    loss = F.cross_entropy(paddle.to_tensor(found), paddle.to_tensor(test.labels))
    accuracy = float((found.argmax(axis=1) == test.labels).mean())
    return {"accuracy": accuracy, "loss": float(loss)}


def _fine_tune(
    network: paddle.nn.Layer, train: Subset, test: Subset, settings: dict[str, Any], seed: int
) -> dict[str, list]:
    """Train with crop and flip; return accuracy at some steps."""
    random, size = np.random.RandomState(seed + 1000), settings["batch_size"]
    optimizer = paddle.optimizer.Momentum(
        settings["learning_rate"],
        0.9,
        parameters=network.parameters(),
        weight_decay=settings["weight_decay"],
    )
    steps = settings["steps"]
    checks = {round(i * steps / CHECKS) for i in range(CHECKS + 1)}
    found: dict[str, list] = {"steps": [], "accuracy": []}
    for step in range(steps + 1):
        if step in checks:
            network.eval()
            found["steps"].append(step)
            found["accuracy"].append(_scores(logits(network, test.images), test)["accuracy"])
        if step < steps:
            network.train()
            chosen = random.randint(0, len(train.labels), size)
            images = paddle.to_tensor(_crop_and_flip(train.images[chosen], random))
            loss = F.cross_entropy(network(images), paddle.to_tensor(train.labels[chosen]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
    return found


def _crop_and_flip(images: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return images shifted by up to an eighth of their side, half of them mirrored."""
    side = images.shape[2]
    border = side // 8
    padded = np.pad(images, ((0, 0), (0, 0), (border, border), (border, border)))
    found = np.empty_like(images)
    for i, image in enumerate(padded):
        top, left = random.randint(0, 2 * border + 1, 2)
        cut = image[:, top : top + side, left : left + side]
        found[i] = cut[:, :, ::-1] if random.randint(2) else cut
    return found


def _rows(results: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [row for row in results["variants"] if row["kind"] == kind]


def _final(results: dict[str, Any], kind: str) -> list[float]:
    """Return the accuracy after fine-tuning, seed by seed."""
    return [run["accuracy"][-1] for run in results["finetune"] if run["kind"] == kind]


def _mean(rows: list[dict[str, Any]], key: str) -> Optional[float]:
    found = [row[key] for row in rows if key in row]
    return float(np.mean(found)) if found else None


def _by_kind(results: dict[str, Any]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return the rows of all seeds for each kind and count."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in results["variants"]:
        found.setdefault((row["kind"], row["count"]), []).append(row)
    return found


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge that zero-gamma blocks change nothing, plain ones all, and that this lasts."""
    different = max(row["different"] for row in _rows(results, "zero-gamma"))
    plain = max(row["accuracy"] for row in _rows(results, "plain"))
    after = {kind: _final(results, kind) for kind in FINE_TUNED}
    gap = worst(np.subtract(after["zero-gamma"], after["plain"]).tolist())
    rules = [
        Rule("identity", "logits that differ, zero-gamma", float(different), 1.0, above=False),
        Rule("plain", "max accuracy, plain blocks added", plain, 0.2, above=False),
        Rule("tuned", "accuracy after fine-tuning, zero-gamma − plain", gap, 0.3),
    ]
    return rules, {
        "base": results["base"]["accuracy"],
        "plain": plain,
        "most": max(row["count"] for row in _rows(results, "zero-gamma")),
        "tuned_zero": float(np.mean(after["zero-gamma"])),
        "tuned_plain": float(np.mean(after["plain"])),
    }


def table(results: dict[str, Any]) -> Table:
    """Return accuracy and difference of every variant."""
    rows: list[list[Any]] = [["base", 0, results["base"]["accuracy"], None, 0, 0.0]]
    for (kind, count), of_seeds in _by_kind(results).items():
        rows.append(
            [
                kind,
                count,
                _mean(of_seeds, "accuracy"),
                _mean(of_seeds, "settled_accuracy"),
                max(row["different"] for row in of_seeds),
                max(row["max_difference"] for row in of_seeds),
            ]
        )
    return Table(["kind", "count", "accuracy", "settled", "different", "max_difference"], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw accuracy of every variant, and over the steps of fine-tuning."""
    names, bars = [], []
    for i, ((kind, count), of_seeds) in enumerate(_by_kind(results).items()):
        legend = "" if any(name.startswith(f"{kind} ") for name in names) else kind
        names.append(f"{kind} ×{count}")
        accuracy = [_mean(of_seeds, "accuracy")]
        bars.append(Bars(legend, [i], accuracy, TONES.get(kind, "violet")))
    base = results["base"]["accuracy"]
    panels = [
        Panel(
            "Accuracy with blocks added to every stage",
            "kind of block × blocks per stage",
            "test accuracy",
            bars,
            [Level(base, "base"), Level(0.1, "chance")],
            y_range=(0.0, 1.0),
            x_names=names,
            percent=True,
        )
    ]
    lines: list[Line] = []
    for kind in FINE_TUNED[::-1]:  # the base on top: zero-gamma covers it
        runs = [run for run in results["finetune"] if run["kind"] == kind]
        by_seed = [run["accuracy"] for run in runs]
        lines += seed_lines(kind, runs[0]["steps"], by_seed, TONES[kind], dashed=kind == "base")
    panels.append(
        Panel(
            "Fine-tuning with one more block per stage",
            "steps",
            "test accuracy",
            lines,
            [Level(0.1, "chance")],
            y_range=(0.0, 1.0),
            percent=True,
        )
    )
    return FigureSpec(panels)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return accuracies beside those of the reference run."""
    settled = _mean(_rows(results, "residual"), "settled_accuracy")
    after = {kind: float(np.mean(_final(results, kind))) for kind in FINE_TUNED}
    return [
        Reference("accuracy, base", results["base"]["accuracy"], 0.922, 0.01),
        Reference("accuracy, residual, settled", settled, 0.444, 0.1),
        Reference("accuracy after 100 steps, zero-gamma", after["zero-gamma"], 0.874, 0.05),
        Reference("accuracy after 100 steps, plain", after["plain"], 0.4125, 0.1),
    ]
