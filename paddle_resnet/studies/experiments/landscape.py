"""Do shortcuts smooth the loss? Lines and planes through trained networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from ...models.trained_model import TrainedModel
from ..context import Context
from ..drawing.figure import Bars, FigureSpec, HeatPanel, Level, Line, Panel
from ..mini_networks import mini_network
from ..results.result_table import Reference, Table
from ..results.verdict import Rule
from ..shared.bn_modes import batch_statistics
from ..shared.cifar_networks import cifar_network
from ..shared.cifar_subset import Subset
from ..shared.short_training import train
from ..studied_network import full_size_networks, images_for, short_name, trained_network

VERSION = 1
SETTINGS: dict[str, Any] = {
    "points": 21,
    "lines": 3,
    "images": 250,
    "images_deep": 130,
    "epochs_at_equal_loss": 2,
    "train_images": 10000,
    "bn": "running",
    "plane": True,
    "full_size": False,
    "images_full_size": 130,
}
FULL: dict[str, Any] = {
    "points": 51,
    "lines": 10,
    "images": 1000,
    "images_deep": 1000,
    "full_size": True,
}
SHALLOW = ("mini_plain20", "mini_resnet20 at equal loss", "mini_resnet20")
DEEP = ("mini_plain56", "mini_resnet56")
#: Trained in full, of full size; where the package has the plain ones.
FURTHER = ("plain20", "resnet20", "plain56", "resnet56")
REACH = 1.0
CLIP = 10.0


def measure(context: Context) -> None:
    """Measure the loss along filter-normalized directions, for each network."""
    settings = context.settings
    names = [*SHALLOW, *DEEP]
    if context.model is not None:
        names = [short_name(context, ""), *names]
    further = full_size_networks(context, *FURTHER)
    further = further if len(further) == len(FURTHER) else {}
    names += further
    lines, plane = settings["lines"], settings["points"] if settings["plane"] else 0
    costs = {
        name: (2.0 if "56" in name else 1.0) * (25 if name in further else 1) for name in names
    }
    context.plan(costs[name] for name in names for _ in range(lines + plane))
    networks: dict[str, Any] = {}
    context.results.update(networks=networks, bn=settings["bn"])
    for name in names:
        trained = further.get(name) or _network(name, context)
        size = "_full_size" if name in further else "_deep" if "56" in name else ""
        count = settings[f"images{size}"]
        subset = images_for(context, trained, "train", count, 0)
        networks[name] = _explore(name, trained.network, subset, context)


def _network(name: str, context: Context) -> TrainedModel:
    if name in DEEP or name in ("mini_plain20", "mini_resnet20"):
        return mini_network(name, context)
    if not name.endswith("at equal loss"):
        return trained_network(context, name)
    # A shorter training ends near the plain network's loss: a sharper minimum is often only a
    # better one.
    trained, settings = mini_network("mini_resnet20", context), context.settings
    network = cifar_network(20, True, 8, seed=0)
    subset = context.images("train", settings["train_images"], 0, trained.input_shape[1])
    train(network, subset, epochs=settings["epochs_at_equal_loss"], seed=0)
    network.eval()
    trained.network = network
    return trained


def _explore(name: str, network: nn.Layer, subset: Subset, context: Context) -> dict[str, Any]:
    settings = context.settings
    alphas = np.linspace(-REACH, REACH, settings["points"])
    surface = Surface(network, subset, settings["bn"])
    directions = [surface.direction(seed) for seed in range(max(2, settings["lines"]))]
    lines, plane = [], []
    for number, direction in enumerate(directions[: settings["lines"]]):
        context.step(f"{name}, line {number + 1}")
        lines.append([surface.loss([(a, direction)]) for a in alphas])
    if settings["plane"]:
        for b in alphas:
            context.step(f"{name}, plane")
            plane.append([surface.loss([(a, directions[0]), (b, directions[1])]) for a in alphas])
    surface.restore()
    return {
        "loss": surface.loss([]),
        "alphas": alphas.tolist(),
        "lines": lines,
        "plane": plane,
        "turning_points": [turning_points(line) for line in lines],
        **({"area": _area(plane), "minima": local_minima(np.array(plane))} if plane else {}),
    }


class Surface:
    """The loss of a network at weights moved along directions.

    Args:
        network: a trained network.
        subset: images and labels of the loss.
        bn: ``running`` or ``batch``, the statistics of BN.
    """

    def __init__(self, network: nn.Layer, subset: Subset, bn: str) -> None:
        self.network, self.bn = network, bn
        self.images = paddle.to_tensor(subset.images)
        self.labels = paddle.to_tensor(subset.labels)
        # One-dimensional parameters (norms, biases) and running statistics are not moved.
        self.weights = {n: p for n, p in network.named_parameters() if p.ndim > 1}
        self.start = {n: p.numpy().copy() for n, p in self.weights.items()}

    def direction(self, seed: int) -> dict[str, np.ndarray]:
        """Draw a direction; each filter, or column of a linear layer, has the network's norm.

        Li et al. 2018 (arXiv:1712.09913), section 4: filter normalization.
        """
        random, found = np.random.RandomState(seed), {}
        for name, weight in self.start.items():
            drawn = random.normal(size=weight.shape)
            # [out, in, h, w] of a convolution, [in, out] of a linear layer.
            axes = tuple(range(1, weight.ndim)) if weight.ndim == 4 else (0,)
            of_drawn, of_weight = (
                np.sqrt((w.astype(np.float64) ** 2).sum(axis=axes, keepdims=True))
                for w in (drawn, weight)
            )
            found[name] = drawn * of_weight / of_drawn
        return found

    def loss(self, moves: list[tuple[float, dict[str, np.ndarray]]]) -> float:
        """Return the mean cross-entropy at the start plus all moves."""
        for name, parameter in self.weights.items():
            moved = self.start[name].astype(np.float64)
            for alpha, direction in moves:
                moved = moved + alpha * direction[name]
            parameter.set_value(moved.astype(np.float32))
        with paddle.no_grad():
            if self.bn == "batch":
                with batch_statistics(self.network):
                    return float(F.cross_entropy(self.network(self.images), self.labels))
            self.network.eval()
            return float(F.cross_entropy(self.network(self.images), self.labels))

    def restore(self) -> None:
        """Put the start's weights back."""
        self.loss([])


def turning_points(line: list[float]) -> int:
    """Return how often a curve changes from falling to rising or back."""
    steps = np.sign(np.diff(line))
    steps = steps[steps != 0]
    return int((steps[1:] != steps[:-1]).sum())


def local_minima(plane: np.ndarray) -> int:
    """Return the number of inner points that lie below all of their eight neighbours."""
    inner, rows, columns = plane[1:-1, 1:-1], *plane.shape
    neighbours = [
        plane[1 + i : rows - 1 + i, 1 + j : columns - 1 + j]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if i or j
    ]
    return int(np.all([inner < one for one in neighbours], axis=0).sum())


def _area(plane: list[list[float]]) -> float:
    """Return the share of the plane whose loss is less than one above that of its centre."""
    found = np.array(plane)
    centre = found[len(found) // 2, len(found) // 2]
    return float((found < centre + 1).mean())


def _at(found: dict[str, Any], distance: float) -> list[float]:
    """Return the losses at -distance and distance of every line, interpolated."""
    ends = [-distance, distance]
    return [float(v) for line in found["lines"] for v in np.interp(ends, found["alphas"], line)]


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge the turning points of the deep networks; at depth 20 there is no difference to see."""
    networks = results["networks"]
    turns = {name: float(np.median(networks[name]["turning_points"])) for name in DEEP}
    rules = [
        Rule("jagged", "median turning points of a line, mini_plain56", turns[DEEP[0]], 2.5),
        Rule(
            "smooth", "median turning points of a line, mini_resnet56", turns[DEEP[1]], 2.5, False
        ),
        Rule("shallow", "plain-20 against ResNet-20 at equal loss", None, 0.0),
    ]
    if all(name in networks for name in FURTHER):
        deep = {name: float(np.median(networks[name]["turning_points"])) for name in FURTHER[2:]}
        measure = "median turning points of a line, "
        rules += [
            Rule("jagged_trained", f"{measure}plain56", deep["plain56"], 2.5),
            Rule("smooth_trained", f"{measure}resnet56", deep["resnet56"], 2.5, False),
        ]
    near = {name: float(np.mean(_at(networks[name], 0.25))) for name in SHALLOW[:2]}
    return rules, {
        "plain": turns[DEEP[0]],
        "residual": turns[DEEP[1]],
        "plain_loss": networks[DEEP[0]]["loss"],
        "residual_loss": networks[DEEP[1]]["loss"],
        "shallow_plain": near[SHALLOW[0]],
        "shallow_residual": near[SHALLOW[1]],
    }


def table(results: dict[str, Any]) -> Table:
    """Return the measures of every network."""
    rows = []
    for name, found in results["networks"].items():
        near, far = _at(found, 0.25), _at(found, 0.5)
        rows.append(
            [
                name,
                found["loss"],
                f"{np.mean(near):.2f} ({min(near):.2f}–{max(near):.2f})",
                f"{np.mean(far):.1f} ({min(far):.1f}–{max(far):.1f})",
                ", ".join(map(str, found["turning_points"])),
                found.get("minima"),
                found.get("area"),
            ]
        )
    return Table(["network", "loss", "near", "far", "turns", "minima", "area"], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw lines, turning points, and planes by the loss's logarithm, networks side by side."""
    networks = results["networks"]
    groups = [
        ("Lines, 20 layers", [name for name in networks if name in SHALLOW]),
        ("Lines, 56 layers", [name for name in networks if name in DEEP]),
        ("Lines, full size", [name for name in networks if name not in (*SHALLOW, *DEEP)]),
    ]
    panels: list[Any] = [_line_panel(title, names, networks) for title, names in groups if names]
    panels.append(_turning_panel(networks))
    panels += [_plane_panel(name, found) for name, found in networks.items() if found["plane"]]
    return FigureSpec(panels, columns=3, cover=1)


def _style(name: str) -> tuple[str, int]:
    tone = "plain" if "plain" in name else "zero" if name == DEEP[1] else "residual"
    pale = name == SHALLOW[1] or (name in FURTHER and "20" in name)
    return tone, 0 if pale else 2


def _line_panel(title: str, names: list[str], networks: dict[str, Any]) -> Panel:
    lines = []
    for name in names:
        found, (tone, shade) = networks[name], _style(name)
        mean = np.minimum(np.mean(found["lines"], axis=0), CLIP)
        lines.append(Line(name, found["alphas"], mean.tolist(), tone, shade))
        lines += [
            Line("", found["alphas"], np.minimum(line, CLIP).tolist(), tone, shade, thin=True)
            for line in found["lines"]
        ]
    x_label = "distance along the direction"
    return Panel(title, x_label, "loss, cut at 10", lines, y_log=True, y_range=(0.5, 12.0))


def _turning_panel(networks: dict[str, Any]) -> Panel:
    bars = [
        Bars("", [i], [float(np.median(found["turning_points"]))], *_style(name))
        for i, (name, found) in enumerate(networks.items())
    ]
    return Panel(
        "How often a line turns",
        "network",
        "turning points, median of the lines",
        bars,
        [Level(2.5, "rule")],
        x_names=list(networks),
    )


def _plane_panel(name: str, found: dict[str, Any]) -> HeatPanel:
    labels = [f"{a:g}" if round(a * 10) % 5 == 0 else "" for a in found["alphas"]]
    values = np.clip(found["plane"], 0.5, CLIP)
    return HeatPanel(
        f"{name}: plane",
        "direction 1",
        "direction 2",
        values,
        0.5,
        CLIP,
        labels,
        labels[::-1],
        log=True,
        levels=10,
    )


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return turning points and losses near the minimum beside those of the reference run."""
    networks = results["networks"]
    rows = [
        Reference(
            f"turning points, {name}", float(np.median(networks[name]["turning_points"])), v, t
        )
        for name, v, t in ((DEEP[0], 5.0, 1.0), (DEEP[1], 1.0, 0.0))
    ]
    for name, value in zip(SHALLOW, (1.83, 1.81, 1.69)):
        rows.append(
            Reference(f"L(±0.25), {name}", float(np.mean(_at(networks[name], 0.25))), value, 0.1)
        )
    return rows
