"""How much does each block change, and from which depth on is the image understood?"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ...models import Network
from ..context import Context
from ..drawing.figure import Bars, FigureSpec, Level, Line, Panel, Points
from ..mini_networks import mini_network
from ..results.result_table import Reference, Table
from ..results.verdict import Rule
from ..shared.block_walk import NamedBlock, blocks, head, residual_function, shortcut, stem
from ..shared.bn_modes import settle
from ..shared.cifar_subset import Subset
from ..shared.fresh_weights import draw_again
from ..shared.ridge_probe import RidgeProbe
from ..studied_network import full_size_networks, images_for, short_name, trained_network

VERSION = 1
SETTINGS: dict[str, Any] = {
    "test_images": 2000,
    "train_images": 2000,
    "refine_images": 500,
    "settle_images": 260,
    "penalty": 10.0,
    "batch": 250,
    "full_size": True,
}
FULL: dict[str, Any] = {"test_images": 10000, "train_images": 10000, "refine_images": 2000}
DEFAULT = "resnet20"
DEEP = "mini_resnet56"
FURTHER = ("resnet56", "resnet110")


def measure(context: Context) -> None:
    """Measure every block's branch, inner heads, probes, and the direction of F."""
    settings = context.settings
    own = short_name(context, DEFAULT)
    studied = {own: trained_network(context, DEFAULT)}
    studied |= full_size_networks(context, *FURTHER)
    networks: dict[str, Any] = {}
    context.results.update(networks=networks)
    context.plan([8.0, 3.0, 8.0, *[40.0, 30.0] * (len(studied) - 1), 4.0, 4.0])
    for name in (*studied, DEEP):
        context.step(f"{name}: blocks, inner heads and probes")
        trained = studied.get(name) or mini_network(name, context)
        network = trained.network
        test = images_for(context, trained, "test", settings["test_images"], 0)
        train = images_for(context, trained, "train", settings["train_images"], 0)
        found = _blocks(network, train, test, settings)
        networks[name] = found
        context.step(f"{name}: direction of F")
        few = Subset(*(part[: settings["refine_images"]] for part in test))
        for row, refine in zip(found["blocks"], _refinement(network, few, settings["batch"])):
            row["refine"] = refine
        if name == own:
            context.step("a fresh network, for comparison")
            fresh = copy.deepcopy(network)
            draw_again(fresh, seed=0)
            settle(fresh, train.images[: settings["settle_images"]])
            found["fresh"] = _refinement(fresh, few, settings["batch"])


def _blocks(
    network: Network, train: Subset, test: Subset, settings: dict[str, Any]
) -> dict[str, Any]:
    named = blocks(network)
    pooled_train, _ = _walk(network, named, train, settings["batch"], measure_blocks=False)
    pooled_test, rows = _walk(network, named, test, settings["batch"], measure_blocks=True)
    probes = [
        RidgeProbe(a, train.labels, settings["penalty"]).accuracy(b, test.labels)
        for a, b in zip(pooled_train, pooled_test)
    ]
    stem_row = rows.pop(0)
    for row, probe, (name, _) in zip(rows, probes[1:], named):
        row.update(name=name, probe=probe)
    return {"stem": {"probe": probes[0], "inner_head": stem_row["inner_head"]}, "blocks": rows}


def _walk(
    network: Network, named: list[NamedBlock], subset: Subset, batch: int, measure_blocks: bool
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """Return pooled activations of stem and blocks, and a row of means for each of them."""
    places = len(named) + 1
    pooled: list[list[np.ndarray]] = [[] for _ in range(places)]
    ratios: list[list[np.ndarray]] = [[] for _ in range(places)]
    cosines: list[list[np.ndarray]] = [[] for _ in range(places)]
    right = np.zeros(places, int)
    with paddle.no_grad():
        for start in range(0, len(subset.labels), batch):
            labels = subset.labels[start : start + batch]
            x = stem(network, paddle.to_tensor(subset.images[start : start + batch]))
            for place in range(places):
                if place:
                    block = named[place - 1].layer
                    if measure_blocks:
                        f, s = residual_function(block, x), shortcut(block, x)
                        ratio, cosine = _ratio_and_cosine(f, s)
                        ratios[place].append(ratio)
                        cosines[place].append(cosine)
                    x = block(x)
                pooled[place].append(x.mean([2, 3]).numpy())
                if measure_blocks:
                    logits = head(network, _by_shortcuts(named[place:], x))
                    right[place] += int((logits.numpy().argmax(axis=1) == labels).sum())
    rows = [
        {
            "ratio": float(np.concatenate(r).mean()) if r else None,
            "cos_stream": float(np.concatenate(c).mean()) if c else None,
            "inner_head": int(n) / len(subset.labels),
        }
        for r, c, n in zip(ratios, cosines, right)
    ]
    return [np.concatenate(part) for part in pooled], rows


def _by_shortcuts(rest: list[NamedBlock], x: Tensor) -> Tensor:
    """Return what the rest of the network's shortcuts alone make of an activation."""
    for _, block in rest:
        x = shortcut(block, x)
    return x


def _ratio_and_cosine(f: Tensor, s: Tensor) -> tuple[np.ndarray, np.ndarray]:
    a, b = (t.flatten(1).numpy().astype(np.float64) for t in (f, s))
    of_a, of_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    return of_a / of_b, (a * b).sum(axis=1) / np.maximum(of_a * of_b, 1e-30)


def _refinement(network: Network, subset: Subset, batch: int) -> list[dict[str, float]]:
    """Return for each block the cosine between F and the direction in which the loss falls."""
    named = blocks(network)
    found: list[list[np.ndarray]] = [[] for _ in named]
    for start in range(0, len(subset.labels), batch):
        labels = paddle.to_tensor(subset.labels[start : start + batch])
        with paddle.no_grad():
            x = stem(network, paddle.to_tensor(subset.images[start : start + batch]))
        for place, (_, block) in enumerate(named):
            with paddle.no_grad():
                f, s = residual_function(block, x), shortcut(block, x)
            s = s.detach()
            s.stop_gradient = False
            y = F.relu(f + s)
            for _, later in named[place + 1 :]:
                y = later(y)
            loss = F.cross_entropy(head(network, y), labels, reduction="sum")
            (gradient,) = paddle.grad(loss, [s])
            found[place].append(_ratio_and_cosine(f, -gradient)[1])
            with paddle.no_grad():
                x = block(x)
    return [_summary(np.concatenate(part)) for part in found]


def _summary(values: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "se": float(values.std(ddof=1) / np.sqrt(len(values))),
        "positive": float((values > 0).mean()),
    }


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge the size of F, the climb of the probes, and the direction of the last F."""
    name = next(iter(results["networks"]))
    found, deep = results["networks"][name], results["networks"].get(DEEP)
    ratios = [row["ratio"] for row in found["blocks"]]
    probes = [found["stem"]["probe"], *(row["probe"] for row in found["blocks"])]
    dip = max(a - b for a, b in zip(probes, probes[1:]))
    last = found["blocks"][-1]["refine"]
    rules = [
        Rule("small", f"median ||F||/||s||, {name}", float(np.median(ratios)), 0.3, False),
        Rule("climb", "largest dip of the probes from block to block", dip, 0.01, False),
        Rule("reach", "probe of the last block − of the stem", probes[-1] - probes[0], 0.5),
        Rule("refine", "cos(F, −dL/ds) − 2 s.e., last block", last["mean"] - 2 * last["se"], 0.05),
    ]
    for further in FURTHER:
        if further in results["networks"] and further != name:
            sizes = [row["ratio"] for row in results["networks"][further]["blocks"]]
            measure = f"median ||F||/||s||, {further}"
            rules.append(Rule("small_deep", measure, float(np.median(sizes)), 0.3, False))
    deep_ratios = [row["ratio"] for row in deep["blocks"]]
    return rules, {
        "name": name,
        "low": min(ratios),
        "high": max(ratios),
        "deep_low": min(deep_ratios),
        "deep_high": max(deep_ratios),
        "first_probe": probes[0],
        "last_probe": probes[-1],
        "cosine": last["mean"],
    }


def table(results: dict[str, Any]) -> Table:
    """Return the four measures of every block."""
    rows: list[list[Any]] = []
    for name, found in results["networks"].items():
        start = found["stem"]
        rows.append([f"{name}, stem", None, None, start["inner_head"], start["probe"], None, None])
        for row in found["blocks"]:
            refine = row["refine"]
            rows.append(
                [
                    f"{name}, {row['name']}",
                    row["ratio"],
                    row["cos_stream"],
                    row["inner_head"],
                    row["probe"],
                    refine["mean"],
                    refine["positive"],
                ]
            )
    columns = ["block", "ratio", "cos_stream", "inner_head", "probe", "refine", "positive"]
    return Table(columns, rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw the size of F, probes and inner heads, and the direction of F, block by block."""
    panels = []
    for name, found in results["networks"].items():
        rows = found["blocks"]
        names = [row["name"].replace("layer", "") for row in rows]
        x, tone = list(range(len(rows))), "zero" if name == DEEP else "residual"
        ratios = Bars("", x, [row["ratio"] for row in rows], tone)
        panels.append(
            Panel(f"{name}: size of F", "stage.block", "||F|| / ||s||", [ratios], x_names=names)
        )
        panels.append(
            Panel(
                f"{name}: read after each block",
                "stage.block",
                "test accuracy",
                [
                    Line("linear probe", x, [row["probe"] for row in rows], tone),
                    Line("the network's own head", x, [r["inner_head"] for r in rows], "violet"),
                ],
                [Level(0.1, "chance"), Level(found["stem"]["probe"], "probe at the stem")],
                y_range=(0.0, 1.0),
                x_names=names,
                percent=True,
            )
        )
        series = [("trained", [row["refine"] for row in rows], tone)]
        if "fresh" in found:
            series.append(("fresh weights", found["fresh"], "neutral"))
        points = [
            Points(
                label, x, [f["mean"] for f in refine], color, error=[2 * f["se"] for f in refine]
            )
            for label, refine, color in series
        ]
        panels.append(
            Panel(
                f"{name}: does F lower the loss?",
                "stage.block",
                "cos(F, −dL/ds), ± 2 s.e.",
                points,
                [Level(0.0, "")],
                x_names=names,
            )
        )
    return FigureSpec(panels, columns=3, cover=1)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return ratios, probes and cosines beside those of the reference run."""
    rows = results["networks"]["resnet20"]["blocks"]
    ratios = (0.85, 0.60, 0.52, 1.04, 0.58, 0.58, 1.44, 1.08, 1.59)
    probes = (0.37, 0.42, 0.45, 0.54, 0.60, 0.64, 0.76, 0.84, 0.91)
    found = [
        Reference(f"||F||/||s||, {row['name']}", row["ratio"], value, 0.03)
        for row, value in zip(rows, ratios)
    ]
    found += [
        Reference(f"probe, {row['name']}", row["probe"], value, 0.01)
        for row, value in zip(rows, probes)
    ]
    return found
