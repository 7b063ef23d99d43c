"""Does the gradient still point the same way one small step further on? Untrained networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from ...pages.ticks import nice_ticks
from ..context import Context
from ..drawing.figure import FigureSpec, Line, Panel, seed_lines
from ..results.result_table import Reference, Table
from ..results.verdict import Rule, worst
from ..shared.bn_modes import settle
from ..shared.cifar_networks import cifar_network

VERSION = 1
SETTINGS: dict[str, Any] = {
    "depths": [20, 56, 110],
    "width": 16,
    "size": 32,
    "images": 30,
    "settle_images": 130,
    "steps": [0.001, 0.01, 0.03, 0.1, 0.3],
    "mlp_width": 200,
    "mlp_points": 256,
    "mlp_depths": [1, 24],
}
FULL: dict[str, Any] = {"images": 100, "mlp_depths": [1, 2, 4, 10, 24, 50]}
#: The step at which the rule is applied, as a share of the image's norm.
STEP = 0.01
SHADES = {20: 0, 56: 1, 110: 2}


def measure(context: Context) -> None:
    """Measure the cosine of input gradients at neighbouring images, and traces of an MLP."""
    settings, steps = context.settings, context.settings["steps"]
    train = context.images("train", settings["settle_images"], 0, settings["size"])
    test = context.images("test", settings["images"], 0, settings["size"])
    cases = [
        (depth, residual, seed)
        for seed in context.seeds
        for depth in settings["depths"]
        for residual in (False, True)
    ]
    context.plan([20.0, *(float(depth) for depth, _, _ in cases)])
    context.results["steps"] = steps
    context.step("fully connected networks")
    context.results["mlp"] = _mlp_traces(settings, context.seeds[0])
    cosines: dict[str, list[list[float]]] = {}
    context.results["cosine"] = cosines
    for depth, residual, seed in cases:
        name = f"{'residual' if residual else 'plain'} {depth}"
        context.step(f"{name}, seed {seed}")
        network = cifar_network(depth, residual, settings["width"], seed=seed)
        settle(network, train.images)
        noise = np.random.RandomState(seed + 1000).normal(size=test.images.shape)
        noise *= _norms(test.images) / _norms(noise)
        here = _input_gradient(network, test.images)
        row = [
            _mean_cosine(here, _input_gradient(network, test.images + step * noise))
            for step in steps
        ]
        cosines.setdefault(name, []).append(row)


def _norms(images: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(images.astype(np.float64)).sum(axis=(1, 2, 3), keepdims=True))


def _input_gradient(network: nn.Layer, images: np.ndarray) -> np.ndarray:
    """Return the gradient of the first logit at every image: float64 [N, 3 * S * S]."""
    x = paddle.to_tensor(images.astype(np.float32), stop_gradient=False)
    (gradient,) = paddle.grad(network(x)[:, 0].sum(), [x])
    return gradient.numpy().astype(np.float64).reshape(len(images), -1)


def _mean_cosine(a: np.ndarray, b: np.ndarray) -> float:
    products = (a * b).sum(axis=1)
    return float((products / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).mean())


def _mlp_traces(settings: dict[str, Any], seed: int) -> dict[str, dict[str, Any]]:
    """Return dy/dx of fully connected networks of one input at points in [-2, 2].

    The fully connected networks of Balduzzi et al. 2017: BN over the points, ReLU; the residual
    ones add 0.1 times their branch.
    """
    found = {}
    for depth in settings["mlp_depths"]:
        for kind in ("plain BN", "residual BN", "plain no BN"):
            trace = _mlp_gradient(kind, depth, settings, seed)
            centred = trace - trace.mean()
            lag = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum())
            found[f"{kind} {depth}"] = {"gradient": trace.tolist(), "autocorrelation": lag}
    return found


def _mlp_gradient(kind: str, depth: int, settings: dict[str, Any], seed: int) -> np.ndarray:
    random, width = np.random.RandomState(seed), settings["mlp_width"]

    def weights(ins: int) -> Tensor:
        return paddle.to_tensor(random.normal(0, np.sqrt(2 / ins), (ins, width)).astype("float32"))

    def norm(h: Tensor) -> Tensor:
        # The statistics are those of the points, and fixed, as settled BN's are.
        mean, std = h.mean(0, keepdim=True).detach(), h.std(0, keepdim=True).detach()
        return (h - mean) / (std + 1e-5)

    points = np.linspace(-2, 2, settings["mlp_points"], dtype=np.float32)[:, None]
    x = paddle.to_tensor(points, stop_gradient=False)
    bias = paddle.to_tensor(random.normal(0, 1, (1, width)).astype("float32"))
    h = nn.functional.relu(paddle.matmul(x, weights(1)) + bias)
    for _ in range(depth - 1):
        w = weights(width)
        if kind == "residual BN":
            h = h + 0.1 * paddle.matmul(nn.functional.relu(norm(h)), w)
        else:
            h = paddle.matmul(h, w)
            h = nn.functional.relu(norm(h) if kind == "plain BN" else h)
    y = paddle.matmul(h, weights(width)[:, :1])
    (gradient,) = paddle.grad(y.sum(), [x])
    return gradient.numpy()[:, 0].astype(np.float64)


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Compare the middle depth, plain and residual, at a step of a hundredth."""
    depth = _middle_depth(results)
    at = int(np.argmin(np.abs(np.array(results["steps"]) - STEP)))
    step = results["steps"][at]
    values = {
        kind: [row[at] for row in results["cosine"][f"{kind} {depth}"]]
        for kind in ("plain", "residual")
    }
    rules = [
        Rule("residual", f"cos(residual-{depth}, {step:g})", worst(values["residual"]), 0.4),
        Rule("plain", f"cos(plain-{depth}, {step:g})", worst(values["plain"], False), 0.1, False),
    ]
    means = {kind: float(np.mean(found)) for kind, found in values.items()}
    return rules, {"depth": depth, "percent": 100 * step, **means}


def _middle_depth(results: dict[str, Any]) -> int:
    depths = sorted({int(name.split()[1]) for name in results["cosine"]})
    return depths[len(depths) // 2]


def table(results: dict[str, Any]) -> Table:
    """Return the mean cosine of every network at every step."""
    rows = [
        [name, *np.mean(of_seeds, axis=0).tolist()] for name, of_seeds in results["cosine"].items()
    ]
    return Table(["network", *(f"{step:g}" for step in results["steps"])], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw the cosine against the step, and the traces of fully connected networks."""
    lines: list[Line] = []
    for name, of_seeds in results["cosine"].items():
        kind, depth = name.split()
        shade = SHADES.get(int(depth), 2)
        lines += seed_lines(name, results["steps"], of_seeds, kind, shade=shade)
    panels = [
        Panel(
            "Agreement of gradients",
            "step, as a share of the image's norm",
            "cosine between input gradients",
            lines,
            x_log=True,
            y_range=(-0.1, 1.0),
        )
    ]
    shown = ("plain BN 1", "plain BN 24", "residual BN 24")
    panels += [_trace_panel(name, results["mlp"][name]) for name in shown if name in results["mlp"]]
    return FigureSpec(panels, columns=2)


def _trace_panel(name: str, trace: dict[str, Any]) -> Panel:
    y = trace["gradient"]
    kind, _, depth = name.rpartition(" ")
    layers = f"{depth} layer{'s' if depth != '1' else ''}"
    tone = "residual" if kind.startswith("residual") else "plain"
    around = nice_ticks(min(y), max(y), around=True)
    return Panel(
        f"Fully connected, {kind}, {layers}: r(1) = {trace['autocorrelation']:.2f}",
        "input x",
        "gradient dy/dx",
        [Line(name, np.linspace(-2, 2, len(y)).tolist(), y, tone)],
        y_range=(around[0], around[-1]),  # with its peaks
    )


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return cosines beside those of the reference run."""
    expected = {
        "plain 20": (0.90, 0.40),
        "residual 20": (0.98, 0.84),
        "plain 56": (0.02, 0.0),
        "residual 56": (0.95, 0.63),
        "residual 110": (0.92, 0.49),
    }
    rows = []
    for name, both in expected.items():
        means = np.mean(results["cosine"][name], axis=0)
        for i, value in enumerate(both):
            label = f"cos({name}, {results['steps'][i]:g})"
            rows.append(Reference(label, float(means[i]), value, 0.05))
    return rows
