"""After many layers of whispering, what is left of the image? Probes along untrained networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle.nn import functional as F

from ..context import Context
from ..drawing.figure import FigureSpec, Level, Panel, seed_lines
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.block_walk import blocks, stem
from ..shared.bn_modes import settle
from ..shared.cifar_networks import cifar_network
from ..shared.ridge_probe import RidgeProbe

VERSION = 1
SETTINGS: dict[str, Any] = {
    "depth": 110,
    "width": 16,
    "size": 16,
    "train_images": 2000,
    "test_images": 1000,
    "after": [0, 1, 2, 4, 8, 12, 18],
    "penalty": 100.0,
    "settle_images": 256,
}
FULL: dict[str, Any] = {"size": 32, "train_images": 10000, "test_images": 10000}
#: Name: residual, options of the network.
NETWORKS: dict[str, tuple[bool, dict[str, Any]]] = {
    "plain BN": (False, {}),
    "residual BN": (True, {}),
    "plain no BN": (False, {"norm_layer": None}),
    "residual no BN": (True, {"norm_layer": None}),
}
BATCH = 500
GRID = 4  # activations are averaged to 4x4 pixels


def measure(context: Context) -> None:
    """Measure the probe's accuracy after some blocks of the first stage, in each network."""
    settings = context.settings
    of_stage = (settings["depth"] - 2) // 6
    after = sorted({n for n in settings["after"] if n <= of_stage} | {of_stage})
    train = context.images("train", settings["train_images"], 0, settings["size"])
    test = context.images("test", settings["test_images"], 0, settings["size"])
    runs = [(name, seed) for seed in context.seeds for name in NETWORKS]
    context.plan(3.0 if "no BN" in name else 1.0 for name, _ in runs)
    accuracy: dict[str, dict[str, list[float]]] = {}
    context.results.update(accuracy=accuracy, after=after, test_images=len(test.labels))
    for name, seed in runs:
        context.step(f"{name}, seed {seed}")
        residual, options = NETWORKS[name]
        network = cifar_network(
            settings["depth"], residual, settings["width"], seed=seed, **options
        )
        settle(network, train.images[: settings["settle_images"]])
        features = [_features(network, part.images, after) for part in (train, test)]
        row = accuracy.setdefault(name, {str(n): [] for n in after})
        for n, for_training, for_test in zip(after, *features):
            probe = RidgeProbe(for_training, train.labels, settings["penalty"])
            row[str(n)].append(probe.accuracy(for_test, test.labels))


def _features(network: paddle.nn.Layer, images: np.ndarray, after: list[int]) -> list[np.ndarray]:
    """Return the pooled activations after each number of blocks: float32 [N, channels * 16]."""
    parts: list[list[np.ndarray]] = [[] for _ in after]
    first_stage = [block for name, block in blocks(network) if name.startswith("layer1.")]
    with paddle.no_grad():
        for start in range(0, len(images), BATCH):
            x = stem(network, paddle.to_tensor(images[start : start + BATCH]))
            for n in range(after[-1] + 1):
                x = first_stage[n - 1](x) if n else x
                if n in after:
                    pooled = F.adaptive_avg_pool2d(x, GRID)
                    parts[after.index(n)].append(pooled.flatten(1).numpy())
    return [np.concatenate(part) for part in parts]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Compare what is left at the end of the stage with and without shortcuts, both with BN."""
    last = str(results["after"][-1])
    plain, residual = (results["accuracy"][n][last] for n in ("plain BN", "residual BN"))
    gap = worst(np.subtract(residual, plain))
    rule = Rule("gap", f"acc{last}(residual BN) − acc{last}(plain BN)", float(gap), 0.10)
    return [rule], {
        "layers": 2 * int(last),
        "plain": float(np.mean(plain)),
        "residual": float(np.mean(residual)),
    }


def table(results: dict[str, Any]) -> Table:
    """Return the mean accuracy of every network after each number of blocks."""
    after = [str(n) for n in results["after"]]
    rows = [
        [name, *(float(np.mean(row[n])) for n in after)]
        for name, row in results["accuracy"].items()
    ]
    return Table(["network", *after], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw accuracy against blocks passed: one line per network, seeds thin."""
    after, lines = results["after"], []
    for name, row in results["accuracy"].items():
        by_seed = np.array([row[str(n)] for n in after]).T
        tone = "plain" if name.startswith("plain") else "residual"
        lines += seed_lines(name, after, by_seed, tone, dashed="no BN" in name)
    panel = Panel(
        "What a linear probe still reads",
        "blocks passed (two layers each)",
        "probe accuracy on test images",
        lines,
        [Level(0.1, "chance")],
        y_range=(0.0, 0.5),
        percent=True,
    )
    return FigureSpec([panel], columns=1)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return the accuracies at both ends beside those of the reference run."""
    last = str(results["after"][-1])
    expected = {
        "plain BN": (0.41, 0.12),
        "plain no BN": (0.41, 0.175),
        "residual BN": (0.41, 0.30),
        "residual no BN": (0.41, 0.27),
    }
    return [
        Reference(
            f"{name}, after {n} blocks", float(np.mean(results["accuracy"][name][n])), e, 0.01
        )
        for name, both in expected.items()
        for n, e in zip(("0", last), both)
    ]
