"""Time of a training step by layer, beside the machine's peak speed."""

from __future__ import annotations

import statistics
import time
from typing import Any

import paddle

from .. import kernels
from ..kernels import profile
from .step_speed import Step


def measure(*, rounds: int = 3, **step: Any) -> dict[str, Any]:
    """Profile training steps that the CPU operator computes.

    Args:
        rounds: steps that count; one more comes before them and does not.
        step: see :class:`paddle_resnet.benchmark.step_speed.Step`.

    Returns:
        dict: ``step_seconds`` (mean), ``peak_gflops`` (of a large matrix product in the step's
        precision, best of several),
        ``rows``: a dict per shape, the slowest first, with ``shape`` (text), ``calls`` (per step)
        and per part (``forward``, ``data``, ``weights``, ``norm``) ``seconds`` per step,
        ``gflops`` (``gbytes`` of memory for ``norm``) per second and ``algorithm`` (``direct``,
        ``winograd`` or ``gemm``; none for ``norm``).

    Raises:
        Unavailable: the operator cannot be built.
        ModelError: an unknown network.
    """
    work = Step(**step)
    peak = matmul_gflops(work.precision)
    work.run("require")
    with kernels.use("require"), profile.recording() as recorded:
        seconds = [work.run("require") for _ in range(rounds)]
    return {
        "step_seconds": statistics.mean(seconds),
        "peak_gflops": peak,
        "rows": _by_shape(recorded, rounds),
        "rounds": rounds,
        **step,
    }


def matmul_gflops(precision: str = "float32", size: int = 1536, rounds: int = 7) -> float:
    """Return the best speed of a matrix product, in GFLOP/s: Paddle's, or oneDNN's of bfloat16."""
    if precision == "bfloat16":
        with kernels.use("require"):
            return profile.bfloat16_gflops(size, rounds)
    a, b = paddle.randn([size, size]), paddle.randn([size, size])
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        paddle.matmul(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e9


def _by_shape(recorded: list[profile.Row], rounds: int) -> list[dict[str, Any]]:
    shapes: dict[str, dict[str, Any]] = {}
    for row in recorded:
        entry = shapes.setdefault(row.text, {"shape": row.text, "calls": 0, "seconds": 0.0})
        entry["seconds"] += row.seconds / rounds
        part = entry.setdefault(row.part, {"seconds": 0.0, "work": 0.0})
        if row.part != "norm":
            part["algorithm"] = row.algorithm
        part["seconds"] += row.seconds / rounds
        part["work"] += row.calls * row.work / rounds
        if row.part == "forward":
            entry["calls"] += row.calls // rounds
    for entry in shapes.values():
        for name in profile.PARTS:
            if name in entry:
                unit = "gbytes" if name == "norm" else "gflops"
                work = entry[name].pop("work")
                entry[name][unit] = work / entry[name]["seconds"] / 1e9
    return sorted(shapes.values(), key=lambda entry: -entry["seconds"])


def text(metrics: dict[str, Any]) -> str:
    """Return the profile as a table: a row per shape, totals, and what is outside the operator."""
    step, precision = metrics["step_seconds"], metrics.get("precision", "float32")
    lines = [
        f"{'layer':<34}{'calls':>6}"
        + "".join(f"{part + ' ms':>13}{'GF/s':>6}  " for part in ("forward", "data", "weights"))
        + f"{'BN ms':>9}{'GB/s':>6}{'share':>7}"
    ]
    totals = dict.fromkeys(profile.PARTS, 0.0)
    for row in metrics["rows"]:
        cells = ""
        for part in profile.PARTS:
            given = row.get(part)
            width = 9 if part == "norm" else 13
            if given is None:
                cells += " " * (width + 6 + 2 * (part != "norm"))
                continue
            totals[part] += given["seconds"]
            speed = given.get("gflops", given.get("gbytes"))
            cells += f"{1e3 * given['seconds']:>{width}.1f}{speed:>6.0f}"
            cells += f" {given['algorithm'][0]}" if "algorithm" in given else ""
        lines.append(f"{row['shape']:<34}{row['calls']:>6}{cells}{row['seconds'] / step:>7.1%}")
    inside = sum(totals.values())
    lines.append(
        f"{'all units':<40}"
        + "".join(f"{1e3 * totals[part]:>13.1f}{'':>8}" for part in ("forward", "data", "weights"))
        + f"{1e3 * totals['norm']:>9.1f}{'':>6}{inside / step:>7.1%}"
    )
    lines.append(
        f"step {1e3 * step:.1f} ms, of which {1e3 * (step - inside):.1f} ms outside the units; "
        f"a large {precision} matrix product reaches {metrics['peak_gflops']:.0f} GF/s here"
    )
    lines.append("computed by: d direct convolution, w Winograd's algorithm, g matrix product")
    return "\n".join(lines)
