"""Which block can be removed from a trained network?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ...layers.shortcuts import ZeroPad
from ...models import Network
from ...models.trained_model import TrainedModel
from ..context import Context
from ..drawing.figure import FigureSpec, HeatPanel, Level, Line, Panel, Points
from ..mini_networks import mini_network
from ..results.result_table import Reference, Table
from ..results.verdict import Rule
from ..shared.block_walk import NamedBlock, blocks, changes_shape, check_sum, head, layers_of, stem
from ..shared.cifar_subset import Subset
from ..studied_network import full_size_networks, images_for, short_name, trained_network

VERSION = 1
SETTINGS: dict[str, Any] = {
    "test_images": 2000,
    "batch": 500,
    "sets": 6,
    "most_removed": 5,
    "swap_up_to_blocks": 9,
    "full_size": True,
}
FULL: dict[str, Any] = {"test_images": 10000, "sets": 20, "swap_up_to_blocks": 54}
DEFAULT = "resnet20"
#: Pairs of blocks up to which swaps are drawn as points.
MOST_PAIRS = 12
MINI = ("mini_plain20", "mini_resnet20", "mini_resnet56")
FURTHER = ("plain20", "resnet56", "resnet110")
#: Tone and shade of the networks' points and curves.
STYLES = {
    "plain20": ("plain", 2),
    "resnet56": ("residual", 2),
    "resnet110": ("rose", 2),
    "mini_plain20": ("plain", 1),
    "mini_resnet20": ("residual", 0),
    "mini_resnet56": ("zero", 2),
}


class Surgery(NamedTuple):
    """A changed network: the blocks in the order they run; a negative place is left out."""

    kind: str
    label: str
    #: Of the block at each place: its index, or -1 - index where only its shortcut is left.
    order: tuple[int, ...]

    @property
    def first(self) -> int:
        """The first place that differs from the network as it is."""
        changed = [place for place, index in enumerate(self.order) if index != place]
        return changed[0] if changed else len(self.order)


def measure(context: Context) -> None:
    """Measure accuracy after deletions, random sets of them, and swaps, in every network."""
    settings = context.settings
    studied = [(short_name(context, DEFAULT), trained_network(context, DEFAULT))]
    studied += list(full_size_networks(context, *FURTHER).items())
    costs = [10.0 * len(blocks(trained.network)) ** 2 / 81 for _, trained in studied]
    costs += [1.0, 1.0, 5.0]
    context.plan(costs)
    networks: dict[str, Any] = {}
    context.results["networks"] = networks
    for name, trained in studied:
        _study(name, trained, context, settings, networks)
    for name in MINI:
        _study(name, None, context, settings, networks)


def _study(
    name: str,
    trained: TrainedModel | None,
    context: Context,
    settings: dict[str, Any],
    networks: dict[str, Any],
) -> None:
    context.step(name)
    trained = trained or mini_network(name, context)
    test = images_for(context, trained, "test", settings["test_images"], 0)
    named = blocks(trained.network)
    for _, block in named:
        check_sum(block)
    random = np.random.RandomState(0)
    surgeries = [Surgery("base", "", tuple(range(len(named))))]
    surgeries += list(_deletions(named))
    surgeries += list(_random_sets(named, random, settings["most_removed"], settings["sets"]))
    if len(named) <= settings["swap_up_to_blocks"]:
        surgeries += list(_swaps(named))
    scores = run_surgeries(trained.network, test, surgeries, settings["batch"])
    found: dict[str, Any] = {"single": {}, "random": {}, "swaps": {}}
    for surgery, (accuracy, loss) in zip(surgeries, scores):
        if surgery.kind == "base":
            found["base"] = {"accuracy": accuracy, "loss": loss}
        elif surgery.kind == "single":
            found["single"][surgery.label] = {"accuracy": accuracy, "loss": loss}
        elif surgery.kind == "random":
            found["random"].setdefault(surgery.label, []).append(accuracy)
        else:
            found["swaps"][surgery.label] = accuracy
    found["changes_shape"] = [n for n, block in named if changes_shape(block)]
    found["residual"] = bool(named[0].layer.residual)
    networks[name] = found


def _deletions(named: list[NamedBlock]) -> Iterator[Surgery]:
    n = len(named)
    for i, (name, _) in enumerate(named):
        yield Surgery("single", name, tuple(-1 - j if j == i else j for j in range(n)))


def _random_sets(
    named: list[NamedBlock], random: np.random.RandomState, most: int, sets: int
) -> Iterator[Surgery]:
    same = [i for i, (_, block) in enumerate(named) if not changes_shape(block)]
    for count in range(1, min(most, len(same)) + 1):
        for _ in range(sets):
            out = set(random.choice(same, count, replace=False).tolist())
            order = tuple(-1 - j if j in out else j for j in range(len(named)))
            yield Surgery("random", str(count), order)


def _swaps(named: list[NamedBlock]) -> Iterator[Surgery]:
    """Yield every exchange of two blocks of one stage that keep the shape."""
    for i, (name, block) in enumerate(named):
        for j in range(i + 1, len(named)):
            other, partner = named[j]
            alike = name.split(".")[0] == other.split(".")[0]
            if alike and not changes_shape(block) and not changes_shape(partner):
                order = list(range(len(named)))
                order[i], order[j] = j, i
                yield Surgery("swap", f"{name} {other}", tuple(order))


def run_surgeries(
    network: Network, test: Subset, surgeries: list[Surgery], batch: int
) -> list[tuple[float, float]]:
    """Return (accuracy, loss) of every changed network, in eval mode.

    Of each batch the inputs of all blocks are kept, so that a surgery costs only what comes
    behind its first change.
    """
    layers = [block for _, block in blocks(network)]
    right, losses = np.zeros(len(surgeries), int), np.zeros(len(surgeries))
    network.eval()
    with paddle.no_grad():
        for start in range(0, len(test.labels), batch):
            labels = test.labels[start : start + batch]
            x = stem(network, paddle.to_tensor(test.images[start : start + batch]))
            inputs = [x]
            for layer in layers:
                inputs.append(layer(inputs[-1]))
            for k, surgery in enumerate(surgeries):
                x = inputs[surgery.first]
                for index in surgery.order[surgery.first :]:
                    x = layers[index](x) if index >= 0 else _removed(layers[-1 - index], x)
                logits = head(network, x)
                right[k] += int((logits.numpy().argmax(axis=1) == labels).sum())
                losses[k] += float(
                    F.cross_entropy(logits, paddle.to_tensor(labels), reduction="sum")
                )
    count = len(test.labels)
    return [(int(r) / count, float(loss) / count) for r, loss in zip(right, losses)]


def _removed(block: nn.Layer, x: Tensor) -> Tensor:
    """Return what is left of a block: its shortcut; in plain networks the one of option A."""
    if not changes_shape(block):
        return x
    if block.downsample is not None:
        return F.relu(block.downsample(x))
    first, last = layers_of(block)[0].conv, layers_of(block)[-1].conv
    extra = last._out_channels - first._in_channels
    strides = [layer.conv._stride[0] for layer in layers_of(block)]
    return ZeroPad(extra, max(strides), "NCHW")(x)


def _losses(found: dict[str, Any]) -> list[float]:
    """Return how much accuracy each single deletion costs."""
    base = found["base"]["accuracy"]
    return [base - one["accuracy"] for one in found["single"].values()]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge plain, shallow and deep residual networks, each by what one deletion costs."""
    networks = results["networks"]
    first = next(iter(networks))
    plain = [one["accuracy"] for one in networks["mini_plain20"]["single"].values()]
    deep = _losses(networks["mini_resnet56"])
    shallow = _losses(networks[first])
    rules = [
        Rule("plain", "median accuracy after a deletion, mini_plain20", _median(plain), 0.2, False),
        Rule("shallow", f"median loss of accuracy, {first}", _median(shallow), 0.03, False),
        Rule("deep_median", "median loss of accuracy, mini_resnet56", _median(deep), 0.03, False),
        Rule("deep_worst", "largest loss of accuracy, mini_resnet56", max(deep), 0.10, False),
    ]
    if "plain20" in networks:
        accuracies = [one["accuracy"] for one in networks["plain20"]["single"].values()]
        measure = "median accuracy after a deletion, plain20"
        rules.append(Rule("plain_full", measure, _median(accuracies), 0.2, False))
    if "resnet56" in networks:
        full = _losses(networks["resnet56"])
        rules.append(Rule("full", "median loss of accuracy, resnet56", _median(full), 0.03, False))
    return rules, {
        "first": first,
        "plain": _median(plain),
        "shallow": 100 * _median(shallow),
        "shallow_worst": 100 * max(shallow),
        "deep": 100 * _median(deep),
        "deep_worst": 100 * max(deep),
    }


def _median(values: list[float]) -> float:
    return float(np.median(values))


def table(results: dict[str, Any]) -> Table:
    """Return accuracy of every network as it is, and after deletions and swaps."""
    rows = []
    for name, found in results["networks"].items():
        single = [one["accuracy"] for one in found["single"].values()]
        swaps = list(found["swaps"].values())
        rows.append(
            [
                name,
                len(single),
                found["base"]["accuracy"],
                _median(single),
                min(single),
                max(single),
                *(float(np.mean(found["random"].get(str(k), np.nan))) for k in (2, 5)),
                _median(swaps) if swaps else None,
            ]
        )
    columns = ["network", "blocks", "base", "median", "least", "most", "two", "five", "swap"]
    return Table(columns, rows)


def _style(name: str, found: dict[str, Any]) -> tuple[str, int]:
    return STYLES.get(name, ("residual" if found["residual"] else "plain", 1))


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw accuracy after each deletion, after k of them, and after swaps."""
    panels: list[Panel | HeatPanel] = []
    curves = []
    for name, found in results["networks"].items():
        (tone, shade), names = _style(name, found), list(found["single"])
        kept, moved = ([], []), ([], [])
        for i, block in enumerate(names):
            x, y = moved if block in found["changes_shape"] else kept
            x.append(i)
            y.append(found["single"][block]["accuracy"])
        items = [
            Points("same shape", *kept, tone),
            Points("changes the shape", *moved, tone, marker="triangle"),
        ]
        levels = [Level(found["base"]["accuracy"], "nothing removed"), Level(0.1, "chance")]
        labels = [block.replace("layer", "") for block in names]
        panels.append(
            Panel(
                f"{name}: one block removed",
                "stage.block",
                "test accuracy",
                items,
                levels,
                y_range=(0.0, 1.0),
                x_names=labels,
                percent=True,
            )
        )
        counts = [0, *map(int, found["random"])]
        y = [found["base"]["accuracy"], *(float(np.mean(v)) for v in found["random"].values())]
        curves.append(Line(name, counts, y, tone, shade, dashed=name.startswith("mini_")))
    panels.append(
        Panel(
            "Several blocks removed at random",
            "blocks removed",
            "test accuracy, mean",
            curves,
            [Level(0.1, "chance")],
            y_range=(0.0, 1.0),
            percent=True,
        )
    )
    swapped = {n: f for n, f in results["networks"].items() if f["swaps"]}
    few = {n: f for n, f in swapped.items() if len(f["swaps"]) <= MOST_PAIRS}
    panels += [_swap_points(few)] if few else []
    panels += [_swap_map(n, f) for n, f in swapped.items() if n not in few]
    return FigureSpec(panels)


def _swap_points(networks: dict[str, Any]) -> Panel:
    """Draw the accuracy after each swap of networks with few blocks, which have the same pairs."""
    pairs = list(next(iter(networks.values()))["swaps"])
    points = [
        Points(name, range(len(pairs)), [found["swaps"].get(p, math.nan) for p in pairs], *style)
        for name, found in networks.items()
        for style in [_style(name, found)]
    ]
    return Panel(
        "Two blocks of a stage exchanged",
        "the two blocks, stage.block",
        "test accuracy",
        points,
        [Level(0.1, "chance")],
        y_range=(0.0, 1.0),
        x_names=[pair.replace("layer", "").replace(" ", " ↔ ") for pair in pairs],
        percent=True,
    )


def _swap_map(name: str, found: dict[str, Any]) -> HeatPanel:
    names = list(found["single"])
    values = np.full((len(names), len(names)), np.nan)
    for pair, accuracy in found["swaps"].items():
        i, j = (names.index(block) for block in pair.split())
        values[i, j] = values[j, i] = accuracy
    labels = [block.replace("layer", "") for block in names]
    return HeatPanel(
        f"{name}: accuracy after a swap",
        "stage.block",
        "stage.block",
        values,
        0.1,
        max(found["base"]["accuracy"], 0.2),
        labels,
        labels,
    )


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return accuracies after deletions beside those of the reference run."""
    networks, rows = results["networks"], []
    expected = {"layer1.0": 0.21, "layer2.0": 0.327, "layer3.0": 0.444, "layer3.2": 0.64}
    for block, value in expected.items():
        found = networks["resnet20"]["single"][block]["accuracy"]
        rows.append(Reference(f"resnet20 without {block}", found, value, 0.01))
    for name, value in (("mini_plain20", 0.10), ("mini_resnet20", 0.43), ("mini_resnet56", 0.506)):
        mean = float(np.mean([one["accuracy"] for one in networks[name]["single"].values()]))
        rows.append(Reference(f"{name}, mean of single deletions", mean, value, 0.03))
    return rows
