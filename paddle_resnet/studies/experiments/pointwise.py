"""Is a 1x1 convolution a linear layer at every pixel, and what does a bottleneck save?"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Callable

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ...layers import BasicBlock, BottleneckBlock, ConvBNLayer, Inception
from ...models import GoogLeNet, ResNet, count, create_model
from ...models.count_table import convolution_macs
from ..context import Context
from ..drawing.figure import Bars, FigureSpec, Panel
from ..results.result_table import Reference, Table
from ..results.verdict import Rule

VERSION = 1
SETTINGS: dict[str, Any] = {"batch": 16, "passes": 5, "warmup_passes": 2}
FULL: dict[str, Any] = {"passes": 50, "batch": 32}


class NaiveInception(nn.Layer):
    """The module of Szegedy et al. 2014, figure 2a: no 1x1 convolution in front of 3x3 and 5x5."""

    def __init__(self, channels: int, of_1x1: int, of_3x3: int, of_5x5: int) -> None:
        super().__init__()
        self.branch1 = ConvBNLayer(channels, of_1x1, 1, act="relu")
        self.branch2 = ConvBNLayer(channels, of_3x3, 3, act="relu")
        self.branch3 = ConvBNLayer(channels, of_5x5, 5, act="relu")
        self.branch4 = nn.MaxPool2D(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, of_1x1 + of_3x3 + of_5x5 + channels, H, W]``."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return paddle.concat([branch(x) for branch in branches], axis=1)


def _conv(ins: int, outs: int, size: int) -> ConvBNLayer:
    return ConvBNLayer(ins, outs, size, act="relu")


def _inception() -> Inception:
    return Inception(192, 64, 96, 128, 16, 32, 32, large_kernel=5)


#: Name: maker, input [C, H, W], the convolutions (kernel, in, out) that the formula counts.
MODULES: dict[str, tuple[Callable[[], nn.Layer], tuple[int, int, int], list[tuple[int, ...]]]] = {
    "5x5, 192 to 32": (partial(_conv, 192, 32, 5), (192, 28, 28), [(5, 192, 32)]),
    "1x1 to 16, then 5x5": (
        lambda: nn.Sequential(_conv(192, 16, 1), _conv(16, 32, 5)),
        (192, 28, 28),
        [(1, 192, 16), (5, 16, 32)],
    ),
    "basic block at 256": (
        lambda: BasicBlock(256, 256),
        (256, 14, 14),
        [(3, 256, 256), (3, 256, 256)],
    ),
    "bottleneck 256-64-64-256": (
        lambda: BottleneckBlock(256, 64),
        (256, 14, 14),
        [(1, 256, 64), (3, 64, 64), (1, 64, 256)],
    ),
    "basic block at 64": (lambda: BasicBlock(64, 64), (64, 14, 14), [(3, 64, 64), (3, 64, 64)]),
    "naive Inception": (
        lambda: NaiveInception(192, 64, 128, 32),
        (192, 28, 28),
        [(1, 192, 64), (3, 192, 128), (5, 192, 32)],
    ),
    "Inception 3a": (
        _inception,
        (192, 28, 28),
        [(1, 192, 64), (1, 192, 96), (3, 96, 128), (1, 192, 16), (5, 16, 32), (1, 192, 32)],
    ),
}
#: Dear module, cheap module.
PAIRS = {
    "5x5 through 1x1": ("5x5, 192 to 32", "1x1 to 16, then 5x5"),
    "bottleneck": ("basic block at 256", "bottleneck 256-64-64-256"),
    "Inception": ("naive Inception", "Inception 3a"),
}


def measure(context: Context) -> None:
    """Compare 1x1 with linear, count and time modules, and count networks with their stems."""
    settings = context.settings
    context.plan([1.0] + [1.0] * len(MODULES) + [2.0])
    context.step("1x1 convolution against linear layer")
    results = context.results
    results["equal"] = {kind: _difference(kind, seed=0) for kind in ("integers", "floats")}
    modules: dict[str, Any] = {}
    results["modules"] = modules
    for name, (make, shape, convolutions) in MODULES.items():
        context.step(name)
        paddle.seed(0)
        module = make()
        table = count(module, shape)
        modules[name] = {
            "macs": table.total("macs"),
            "formula": sum(convolution_macs(*shape[1:], k, i, o) for k, i, o in convolutions),
            "parameters": table.total("parameters"),
            **_seconds_per_image(module, shape, settings),
        }
    context.step("stems")
    results["stems"] = _stems()
    results["networks"] = _networks()


def _difference(kind: str, seed: int) -> dict[str, float]:
    """Compare a 1x1 convolution with a linear layer over the channels of every pixel.

    Integers from -8 to 8: every sum is exact in float32 in any order, so that equality is
    mathematics and not luck.
    """
    random = np.random.RandomState(seed)

    def draw(*shape: int) -> np.ndarray:
        if kind == "integers":
            return random.randint(-8, 9, shape).astype(np.float32)
        return random.normal(size=shape).astype(np.float32)

    x, w = draw(4, 192, 28, 28), draw(32, 192, 1, 1)
    by_convolution = F.conv2d(paddle.to_tensor(x), paddle.to_tensor(w)).numpy()
    pixels = paddle.to_tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    by_linear = F.linear(pixels, paddle.to_tensor(np.ascontiguousarray(w[:, :, 0, 0].T))).numpy()
    by_linear = by_linear.transpose(0, 3, 1, 2)
    return {
        "different": int((by_convolution != by_linear).sum()),
        "max_difference": float(np.abs(by_convolution - by_linear).max()),
        "largest": float(np.abs(by_linear).max()),
    }


def _seconds_per_image(
    module: nn.Layer, shape: tuple[int, int, int], settings: dict[str, Any]
) -> dict[str, float]:
    """Return CPU seconds per image, forward and with backward: the least of several passes."""
    x = paddle.randn([settings["batch"], *shape])
    module.train()

    def forward() -> None:
        with paddle.no_grad():
            module(x)

    def both() -> None:
        module(x).sum().backward()

    x.stop_gradient = False
    found = {}
    for key, run in (("forward", forward), ("forward_backward", both)):
        seconds = []
        for _ in range(settings["warmup_passes"] + settings["passes"]):
            started = time.process_time()
            run()
            seconds.append(time.process_time() - started)
        found[key] = min(seconds[settings["warmup_passes"] :]) / settings["batch"]
    return found


def _stems() -> list[dict[str, Any]]:
    """Count ResNet-18 at 32 pixels with three stems; give its first and last activation sizes."""
    rows = []
    for stem in ("imagenet", "cifar", "keras"):
        with paddle.LazyGuard():
            network = ResNet(18, num_classes=10, stem=stem)
        table = count(network, (3, 32, 32))
        first, last = (
            next(row.shape[2:] for row in rows_ if row.name.startswith(f"layer{stage}."))
            for stage, rows_ in ((1, table.rows), (4, table.rows))
        )
        rows.append({"stem": stem, "macs": table.total("macs"), "first": first, "last": last})
    return rows


def _networks() -> list[dict[str, Any]]:
    """Count networks at 224 pixels."""
    makers: dict[str, Callable[[], nn.Layer]] = {
        "GoogLeNet, third branch 3x3": GoogLeNet,
        "GoogLeNet, third branch 5x5": partial(GoogLeNet, large_kernel=5),
        "ResNet-34": partial(create_model, "resnet34"),
        "ResNet-50": partial(create_model, "resnet50"),
    }
    rows = []
    for name, make in makers.items():
        with paddle.LazyGuard():
            network = make()
        table = count(network, (3, 224, 224))
        macs, parameters = table.total("macs"), table.total("parameters")
        rows.append({"network": name, "macs": macs, "parameters": parameters})
    return rows


def _ratio(results: dict[str, Any], pair: str, key: str) -> float:
    dear, cheap = (results["modules"][name][key] for name in PAIRS[pair])
    return dear / cheap


def judge(results: dict[str, Any]) -> tuple[list[Rule], dict[str, Any]]:
    """Judge equality, the formula, and that the saving is one of time too."""
    wrong = sum(m["macs"] != m["formula"] for m in results["modules"].values())
    rules = [
        Rule(
            "equal",
            "outputs that differ, integers",
            float(results["equal"]["integers"]["different"]),
            1.0,
            above=False,
        ),
        Rule("counted", "modules whose count is not the formula's", float(wrong), 1.0, above=False),
    ]
    for key, pair in (("inception_time", "5x5 through 1x1"), ("bottleneck_time", "bottleneck")):
        ratio = _ratio(results, pair, "forward_backward")
        rules.append(Rule(key, f"time ratio, {pair}", ratio, 2.0, ratio=True))
    return rules, {
        "macs": _ratio(results, "5x5 through 1x1", "macs"),
        "time": _ratio(results, "5x5 through 1x1", "forward_backward"),
        "bottleneck_macs": _ratio(results, "bottleneck", "macs"),
        "bottleneck_time": _ratio(results, "bottleneck", "forward_backward"),
    }


def table(results: dict[str, Any]) -> Table:
    """Return counts and times of the modules, then counts of networks."""
    rows: list[list[Any]] = [
        [name, m["macs"], m["parameters"], 1e3 * m["forward"], 1e3 * m["forward_backward"]]
        for name, m in results["modules"].items()
    ]
    for row in results["stems"]:
        sizes = f"{'x'.join(map(str, row['first']))} → {'x'.join(map(str, row['last']))}"
        rows.append([f"ResNet-18 at 32 px, {row['stem']} stem ({sizes})", row["macs"], *[None] * 3])
    for row in results["networks"]:
        rows.append([f"{row['network']}, 224 px", row["macs"], row["parameters"], None, None])
    return Table(["module", "macs", "parameters", "forward", "both"], rows)


def figure(results: dict[str, Any]) -> FigureSpec:
    """Draw the ratio of multiplications beside the ratio of times."""
    names = list(PAIRS)
    bars = []
    for label, key, side, tone in (
        ("multiplications", "macs", -0.28, "neutral"),
        ("time, forward", "forward", 0.0, "residual"),
        ("time, forward + backward", "forward_backward", 0.28, "violet"),
    ):
        ratios = [_ratio(results, name, key) for name in names]
        bars.append(Bars(label, [i + side for i in range(len(names))], ratios, tone, width=0.26))
    panel = Panel(
        "How many times less: costly module / cheap module",
        "saved by",
        "ratio",
        bars,
        y_log=True,
        y_range=(1.0, 30.0),
        x_names=names,
    )
    return FigureSpec([panel], columns=1)


def reference(results: dict[str, Any]) -> list[Reference]:
    """Return counts, which are exact, and ratios of times."""
    modules = results["modules"]
    counts = {"5x5, 192 to 32": 120_422_400, "1x1 to 16, then 5x5": 12_443_648,
              "bottleneck 256-64-64-256": 13_647_872, "Inception 3a": 128_049_152}  # fmt: skip
    rows = [
        Reference(f"multiplications, {n}", modules[n]["macs"], v, 0.0) for n, v in counts.items()
    ]
    for pair, value in (("5x5 through 1x1", 3.9), ("bottleneck", 5.5)):
        ratio = _ratio(results, pair, "forward_backward")
        rows.append(Reference(f"time ratio, {pair}", ratio, value, 0.4, True))
    return rows
