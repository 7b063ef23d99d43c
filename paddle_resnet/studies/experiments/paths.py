"""Addition instead of multiplication: which of the 2^n ways does the gradient take?"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ...models import Network
from ..context import Context
from ..drawing.figure import Bars, FigureSpec, Line, Panel
from ..mini_networks import mini_network
from ..results.result_table import Reference, Table
from ..results.verdict import Rule
from ..shared.block_walk import blocks, head, residual_function, shortcut, stem
from ..shared.cifar_subset import Subset
from ..studied_network import full_size_networks, images_for, short_name, trained_network

VERSION = 1
SETTINGS: dict[str, Any] = {
    "images": 10,
    "sets": 20,
    "exhaustive_up_to_blocks": 9,
    "full_size": True,
}
FULL: dict[str, Any] = {"images": 50, "sets": 100}
DEFAULT = "resnet20"
MINI = ("mini_resnet20", "mini_resnet56")
FURTHER = ("resnet56", "resnet110")


def measure(context: Context) -> None:
    """Measure the gradient of single paths, by their length, in each network."""
    settings = context.settings
    studied = {short_name(context, DEFAULT): trained_network(context, DEFAULT)}
    studied |= full_size_networks(context, *FURTHER)
    context.plan([25.0, *[75.0] * (len(studied) - 1), 6.0, 15.0])
    networks: dict[str, Any] = {}
    context.results["networks"] = networks
    for name in (*studied, *MINI):
        context.step(name)
        trained = studied.get(name) or mini_network(name, context)
        subset = images_for(context, trained, "test", settings["images"], 0)
        networks[name] = path_gradients(
            trained.network, subset, settings["sets"], settings["exhaustive_up_to_blocks"]
        )


def path_gradients(
    network: Network, subset: Subset, sets: int, exhaustive_up_to: int
) -> dict[str, Any]:
    """Return norms of path gradients by length, and for all paths the error of their sum.

    A path goes through the residual function of some blocks and over the shortcut of the others.
    Its gradient at the stem's output comes from a forward pass with the true values, in which the
    other term of each sum is detached.

    Args:
        network: residual, in eval mode.
        subset: images; the loss is the sum of their cross-entropies.
        sets: random paths of each length, where there are more blocks than ``exhaustive_up_to``.
        exhaustive_up_to: blocks up to which every path is taken.
    """
    layers = [block for _, block in blocks(network)]
    count = len(layers)
    with paddle.no_grad():
        start = stem(network, paddle.to_tensor(subset.images))
    labels = paddle.to_tensor(subset.labels)
    random = np.random.RandomState(0)
    everything = count <= exhaustive_up_to

    def gradient(through: frozenset[int] | None) -> np.ndarray:
        x = first = start.detach()
        first.stop_gradient = False
        for i, block in enumerate(layers):
            x = _step(block, x, None if through is None else i in through)
        loss = F.cross_entropy(head(network, x), labels, reduction="sum")
        (found,) = paddle.grad(loss, [first])
        return found.numpy().astype(np.float64).reshape(len(subset.labels), -1)

    full = gradient(None)
    total = np.zeros_like(full)
    norms: list[list[float]] = []
    for length in range(count + 1):
        if everything:
            chosen = list(itertools.combinations(range(count), length))
        else:
            draws = 1 if length in (0, count) else sets
            chosen = [tuple(random.choice(count, length, replace=False)) for _ in range(draws)]
        of_length = []
        for path in chosen:
            found = gradient(frozenset(map(int, path)))
            total += found
            of_length.append(float(np.linalg.norm(found, axis=1).mean()))
        norms.append(of_length)
    return {
        "blocks": count,
        "exhaustive": everything,
        "norms": norms,
        "full_norm": float(np.linalg.norm(full, axis=1).mean()),
        "sum_error": float(np.linalg.norm(total - full) / np.linalg.norm(full))
        if everything
        else None,
    }


def _step(block: paddle.nn.Layer, x: Tensor, through: bool | None) -> Tensor:
    """Run a block; let the gradient through both terms (None), F alone (True), or the shortcut."""
    if through is None:
        return F.relu(residual_function(block, x) + shortcut(block, x))
    if through:
        return F.relu(residual_function(block, x) + shortcut(block, x).detach())
    with paddle.no_grad():
        branch = residual_function(block, x)
    return F.relu(branch.detach() + shortcut(block, x))


def _means(found: dict[str, Any]) -> np.ndarray:
    return np.array([np.mean(norms) for norms in found["norms"]])


def _shares(found: dict[str, Any]) -> np.ndarray:
    """Return each length's share of the summed norms of all paths."""
    n = found["blocks"]
    weighted = _means(found) * np.array([math.comb(n, k) for k in range(n + 1)], float)
    return weighted / weighted.sum()


def _mean_length(found: dict[str, Any]) -> float:
    return float((_shares(found) * np.arange(found["blocks"] + 1)).sum())


def _factor(found: dict[str, Any]) -> float:
    """Return the geometric mean factor of the norm from each length to the next."""
    means = _means(found)
    return float((means[-1] / means[0]) ** (1 / found["blocks"]))


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge that paths add up to the gradient, and that short ones carry most of it."""
    networks = results["networks"]
    own = next(iter(networks))
    errors = [f["sum_error"] for f in networks.values() if f["sum_error"] is not None]
    error = max(errors, default=None)
    relative = {name: 2 * _mean_length(f) / f["blocks"] for name, f in networks.items()}
    rules = [
        Rule(
            "sum", "|sum of all path gradients − gradient| / |gradient|", error, 1e-4, False, True
        ),
        Rule(
            "deep", "mean length by gradient / (n/2), mini_resnet56", relative[MINI[1]], 0.6, False
        ),
        Rule("trained", f"mean length by gradient / (n/2), {own}", relative[own], 0.6, False),
    ]
    for name in FURTHER:
        if name in networks and name != own:
            measure = f"mean length by gradient / (n/2), {name}"
            rules.append(Rule("deep_trained", measure, relative[name], 0.6, False))
    deep = networks[MINI[1]]
    return rules, {
        "error": math.nan if error is None else error,  # nan: no network was taken whole
        "deep_length": _mean_length(deep),
        "deep_half": deep["blocks"] / 2,
        "own": own,
        "own_length": _mean_length(networks[own]),
        "own_half": networks[own]["blocks"] / 2,
    }


def table(results: dict[str, Any]) -> Table:
    """Return mean lengths and decay of every network."""
    rows = []
    for name, found in results["networks"].items():
        rows.append(
            [
                name,
                found["blocks"],
                sum(map(len, found["norms"])),
                _mean_length(found),
                found["blocks"] / 2,
                _factor(found),
                sum(map(sum, found["norms"])) / found["full_norm"] if found["exhaustive"] else None,
                found["sum_error"],
            ]
        )
    columns = ["network", "blocks", "paths", "length", "half", "factor", "cancel", "error"]
    return Table(columns, rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw number of paths, mean and median norm, and their product, over the length."""
    panels = []
    for name, found in results["networks"].items():
        n = found["blocks"]
        lengths = list(range(n + 1))
        tone = "zero" if name == MINI[1] else "residual"
        numbers = [math.comb(n, k) / 2**n for k in lengths]
        medians = [float(np.median(norms)) for norms in found["norms"]]
        panels += [
            Panel(
                f"{name}: paths of each length",
                "blocks that the path goes through",
                "share of all paths",
                [Bars("", lengths, numbers, "neutral")],
                percent=True,
            ),
            Panel(
                f"{name}: gradient of one path",
                "blocks that the path goes through",
                "norm at the stem",
                [
                    Line("mean", lengths, _means(found).tolist(), tone),
                    Line("median", lengths, medians, "violet", dashed=True),
                ],
                y_log=True,
            ),
            Panel(
                f"{name}: number times norm",
                "blocks that the path goes through",
                "share of the summed norms",
                [Bars("", lengths, _shares(found).tolist(), tone)],
                percent=True,
            ),
        ]
    return FigureSpec(panels, columns=3, cover=len(panels) - 2)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return mean lengths beside those of the reference run."""
    expected = {"resnet20": (4.59, 0.2), "mini_resnet20": (3.59, 0.6), "mini_resnet56": (4.96, 1.5)}
    return [
        Reference(f"mean length by gradient, {name}", _mean_length(results["networks"][name]), v, t)
        for name, (v, t) in expected.items()
    ]
