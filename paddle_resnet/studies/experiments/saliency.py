"""Where does the network look - and would a random network "look" there too? Heat maps tested."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional as F

from ...data import CLASSES
from ...evaluation.class_activation import class_activation, heatmap
from ...models import Network
from ...pages.heat_overlay import overlay
from ..context import Context
from ..drawing.figure import Bars, FigureSpec, ImagePanel, Level, Line, Panel
from ..results.result_table import Reference, Table
from ..results.verdict import Rule
from ..shared.added_blocks import logits
from ..shared.cifar_subset import Subset
from ..shared.fresh_weights import draw_again
from ..studied_network import images_for, trained_network

VERSION = 2
SETTINGS: dict[str, Any] = {"images": 100, "shown": 8}
FULL: dict[str, Any] = {"images": 1000}
DEFAULT = "resnet20"
EMPTY = "Grey throughout: the heat map is empty, no place speaks for the class."
METHODS = {"Grad-CAM": "grad_cam", "LayerCAM": "layer_cam"}
#: Share of the image that is greyed, and the controls beside the heat maps' own pixels.
HIDDEN = 0.25


def measure(context: Context) -> None:
    """Randomize the weights from the head on, compare heat maps; grey pixels, compare answers."""
    settings = context.settings
    trained = trained_network(context, DEFAULT)
    network: Network = trained.network
    subset = images_for(context, trained, "test", settings["images"], 0)
    pixels = _pixels(context, trained, settings["shown"])
    stages = [info.name for info in network.feature_info][-3:]
    predicted = logits(network, subset.images).argmax(axis=1)
    cascades = _cascade(network)
    context.plan([2.0, *[2.0 * len(context.seeds)] * len(cascades), 4.0, 1.0])
    results = context.results
    context.step("heat maps of the trained network")
    own = _heatmaps(network, subset, predicted, stages)
    results.update(
        stages=stages,
        accuracy=float((predicted == subset.labels).mean()),
        empty={key: int((m.max(axis=(1, 2)) == 0).sum()) for key, m in own.items()},
        baseline={key: _between_images(m) for key, m in own.items()},
        cascade={},
        second=_second_class(network, subset, own, stages),
    )
    for depth, (label, _) in enumerate(cascades):
        context.step(f"weights drawn again: {label}")
        found: dict[str, list[float]] = {key: [] for key in own}
        for seed in context.seeds:
            changed = copy.deepcopy(network)
            for _, name in cascades[: depth + 1]:
                draw_again(getattr(changed, name), seed)
            for key, heatmaps in _heatmaps(changed, subset, predicted, stages).items():
                found[key].append(_agreement(own[key], heatmaps))
        results["cascade"][label] = {key: float(np.nanmean(v)) for key, v in found.items()}
    context.step("pixels set to grey")
    results["masked"] = _masked(network, subset, predicted, stages)
    context.step("examples")
    results["examples"] = _examples(network, subset, pixels, stages, settings["shown"])


def _pixels(context: Context, trained: Any, count: int) -> np.ndarray:
    """Return the first images as uint8 [N, H, W, 3], to be shown."""
    few = images_for(context, trained, "test", context.settings["images"], 0).images[:count]
    mean, std = (
        np.asarray(v if v is not None else d).reshape(1, 3, 1, 1)
        for v, d in ((trained.mean, [0, 0, 0]), (trained.std, [1, 1, 1]))
    )
    shown = np.clip((few * std + mean) * 255, 0, 255).round().astype(np.uint8)
    return shown.transpose(0, 2, 3, 1)


def _cascade(network: Network) -> list[tuple[str, str]]:
    """Return labels and names of the stages with weights, from the head to the input."""
    stages = [name for name in network.stages if getattr(network, name).parameters()]
    order = ["fc", *reversed(stages)]
    return [("fc" if i == 0 else f"+ {name}", name) for i, name in enumerate(order)]


def _heatmaps(
    network: Network, subset: Subset, target: np.ndarray, stages: list[str]
) -> dict[str, np.ndarray]:
    return {
        f"{name}, {stage}": class_activation(
            network, subset.images, method=method, stage=stage, target=target
        )
        for name, method in METHODS.items()
        for stage in stages
    }


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation of two arrays; NaN if one of them is constant."""
    ranks = [_mean_ranks(x.ravel()) for x in (a, b)]
    centred = [r - r.mean() for r in ranks]
    norms = [np.sqrt((r**2).sum()) for r in centred]
    if min(norms) == 0:
        return float("nan")
    return float((centred[0] * centred[1]).sum() / (norms[0] * norms[1]))


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _agreement(heatmaps: np.ndarray, others: np.ndarray) -> float:
    """Return the mean rank correlation of paired heat maps; empty ones are left out."""
    with np.errstate(invalid="ignore"):
        return float(np.nanmean([rank_correlation(a, b) for a, b in zip(heatmaps, others)]))


def _between_images(heatmaps: np.ndarray) -> float:
    """Return the mean rank correlation of each heat map with the next image's."""
    return _agreement(heatmaps, np.roll(heatmaps, 1, axis=0))


def _second_class(
    network: Network, subset: Subset, own: dict[str, np.ndarray], stages: list[str]
) -> dict[str, float]:
    second = np.argsort(-logits(network, subset.images), axis=1)[:, 1]
    return {
        key: _agreement(own[key], heatmaps)
        for key, heatmaps in _heatmaps(network, subset, second, stages[-1:]).items()
    }


def _masked(
    network: Network, subset: Subset, predicted: np.ndarray, stages: list[str]
) -> dict[str, float]:
    """Return the mean probability of the predicted class with a quarter of the pixels greyed."""
    side = subset.images.shape[2]
    hidden = round(HIDDEN * side * side)
    found = {"nothing": _probability(network, subset.images, predicted)}
    for name, method in METHODS.items():
        for stage in stages:
            heatmaps = heatmap(network, subset.images, method=method, stage=stage, target=predicted)
            order = np.argsort(heatmaps.reshape(len(heatmaps), -1), axis=1, kind="stable")
            for label, chosen in (("hot", order[:, -hidden:]), ("cold", order[:, :hidden])):
                mask = np.zeros((len(heatmaps), side * side), bool)
                np.put_along_axis(mask, chosen, True, axis=1)
                found[f"{label}, {name}, {stage}"] = _probability(
                    network, _greyed(subset.images, mask), predicted
                )
    random = np.random.RandomState(0)
    controls = [_blobs(random, side) for _ in subset.labels]
    found["blobs"] = _probability(network, _greyed(subset.images, np.array(controls)), predicted)
    centre = np.tile(_disc(side, hidden).ravel(), (len(subset.labels), 1))
    found["centre"] = _probability(network, _greyed(subset.images, centre), predicted)
    return found


def _greyed(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return images with the masked pixels at the mean colour, which normalization makes 0."""
    count, _, height, width = images.shape
    return np.where(mask.reshape(count, 1, height, width), np.float32(0), images)


def _blobs(random: np.random.RandomState, side: int) -> np.ndarray:
    """Return a mask of squares of a quarter of the side: four of the sixteen of a grid."""
    quarter = side // 4
    mask = np.zeros((4, 4), bool)
    mask.flat[random.choice(16, 4, replace=False)] = True
    return mask.repeat(quarter, 0).repeat(quarter, 1).ravel()


def _disc(side: int, pixels: int) -> np.ndarray:
    """Return a mask of the pixels nearest to the centre."""
    middle = (side - 1) / 2
    y, x = np.mgrid[:side, :side] - middle
    order = np.argsort((x**2 + y**2).ravel(), kind="stable")
    mask = np.zeros(side * side, bool)
    mask[order[:pixels]] = True
    return mask.reshape(side, side)


def _probability(network: Network, images: np.ndarray, predicted: np.ndarray) -> float:
    p = F.softmax(paddle.to_tensor(logits(network, images))).numpy()
    return float(p[np.arange(len(p)), predicted].mean())


def _examples(
    network: Network, subset: Subset, pixels: np.ndarray, stages: list[str], count: int
) -> dict[str, Any]:
    """Return the first images and their heat maps, uint8 as nested lists."""
    images = subset.images[:count]
    changed = copy.deepcopy(network)
    for _, name in _cascade(network)[:2]:
        draw_again(getattr(changed, name), 0)
    target = logits(network, images).argmax(axis=1)
    last, middle = stages[-1], stages[-2]
    rows = {
        f"Grad-CAM, {last}": heatmap(network, images, stage=last),
        f"LayerCAM, {middle}": heatmap(network, images, method="layer_cam", stage=middle),
        f"Grad-CAM, {last}, fc and {last} random": heatmap(
            changed, images, stage=last, target=target
        ),
    }
    return {
        "predicted": target.tolist(),
        "pixels": pixels.tolist(),
        "maps": {k: np.round(m * 255).astype(int).tolist() for k, m in rows.items()},
    }


def _key(results: dict[str, Any], method: str, back: int = 1) -> str:
    return f"{method}, {results['stages'][-back]}"


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge that heat maps follow the weights, and that their pixels matter."""
    grad, layer = _key(results, "Grad-CAM"), _key(results, "LayerCAM")
    second = list(results["cascade"])[1]  # fc and the last stage
    drop = {k: results["baseline"][k] - results["cascade"][second][k] for k in (grad, layer)}
    masked = results["masked"]
    hot, cold = masked[f"hot, {grad}"], masked[f"cold, {grad}"]
    rules = [
        Rule(
            "follows",
            f"ρ(other images) − ρ({second} random), Grad-CAM",
            drop[grad],
            0.0,
        ),
        Rule("layer_follows", f"ρ(other images) − ρ({second} random), LayerCAM", drop[layer], 0.0),
        Rule("centre", "p(centre grey) − p(hot quarter grey)", masked["centre"] - hot, 0.05),
        Rule("blobs", "p(blobs grey) − p(centre grey)", masked["blobs"] - masked["centre"], 0.0),
        Rule("cold", "p(cold quarter grey) − p(blobs grey)", cold - masked["blobs"], 0.0),
    ]
    return rules, {
        "random": results["cascade"][second][grad],
        "between": results["baseline"][grad],
        "layer_random": results["cascade"][second][layer],
        "layer_between": results["baseline"][layer],
        "whole": masked["nothing"],
        "hot": hot,
        "centre": masked["centre"],
    }


def table(results: dict[str, Any]) -> Table:
    """Return correlations down the cascade of each heat map, and probabilities with grey pixels."""
    steps = list(results["cascade"])
    rows: list[list[Any]] = []
    for key, baseline in results["baseline"].items():
        cascade = [results["cascade"][step][key] for step in steps]
        masked = [results["masked"][f"{kind}, {key}"] for kind in ("hot", "cold")]
        rows.append([key, baseline, *cascade, *masked, results["empty"][key]])
    for name in ("nothing", "centre", "blobs"):
        blank = [None] * (len(steps) + 1)
        rows.append([f"grey: {name}", *blank, results["masked"][name], None, None])
    return Table(["map", "baseline", *steps, "hot", "cold", "empty"], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw examples, correlations down the cascade, and probabilities with grey pixels."""
    examples = results["examples"]
    pixels = np.array(examples["pixels"], np.uint8)
    rows, names = [list(pixels)], ["image"]
    for name, heatmaps in examples["maps"].items():
        shares = np.array(heatmaps) / 255
        rows.append([overlay(p, s) for p, s in zip(pixels, shares)])
        names.append(name)
    labels = [CLASSES[i] for i in examples["predicted"]]
    panels: list[Any] = [ImagePanel("What the class depends on", labels, rows, names, EMPTY)]
    steps = list(results["cascade"])
    for method, tone in (("Grad-CAM", "residual"), ("LayerCAM", "violet")):
        key = _key(results, method)
        y = [1.0, *(results["cascade"][step][key] for step in steps)]
        panels.append(
            Panel(
                f"{key}: weights drawn again from the head on",
                "drawn again",
                "rank correlation with the trained network's heat map",
                [Line("", list(range(len(y))), y, tone)],
                [Level(results["baseline"][key], "heat maps of other images")],
                y_range=(-0.1, 1.0),
                x_names=["nothing", *steps],
            )
        )
    key = _key(results, "Grad-CAM")
    masked = results["masked"]
    bars = [masked["nothing"], masked[f"cold, {key}"], masked["blobs"], masked["centre"],
            masked[f"hot, {key}"]]  # fmt: skip
    panels.append(
        Panel(
            "A quarter of the image greyed",
            "which quarter",
            "probability of the class",
            [Bars("", list(range(len(bars))), bars, "residual")],
            y_range=(0.0, 1.0),
            x_names=["none", "cold", "blobs", "centre", "hot"],
            percent=True,
        )
    )
    return FigureSpec(panels, columns=3)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return correlations and probabilities beside those of the reference run."""
    second = list(results["cascade"])[1]
    grad, layer = _key(results, "Grad-CAM"), _key(results, "LayerCAM")
    return [
        Reference("between images, Grad-CAM", results["baseline"][grad], 0.53, 0.08),
        Reference("fc and layer3 random, Grad-CAM", results["cascade"][second][grad], 0.09, 0.1),
        Reference("fc and layer3 random, LayerCAM", results["cascade"][second][layer], 0.59, 0.1),
        Reference("p, hot quarter grey", results["masked"][f"hot, {grad}"], 0.318, 0.06),
        Reference("p, centre grey", results["masked"]["centre"], 0.405, 0.06),
    ]
