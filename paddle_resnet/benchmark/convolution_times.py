"""Times of every algorithm for every convolution of a network, measured anew."""

from __future__ import annotations

from typing import Any

import paddle

from .. import kernels
from ..kernels import build, profile
from ..kernels.algorithm_choice import ALGORITHMS as VARIABLE_VALUES
from ..kernels.algorithm_choice import measuring_anew
from ..layers import activation_dtype
from .step_speed import Step

#: Columns of the table, in this order.
ALGORITHMS = tuple(each for each in VARIABLE_VALUES if each != "auto")


def measure(**step: Any) -> dict[str, Any]:
    """Time the candidates of each convolution of a training step and of inference.

    Nothing is taken from the cache folder's choices, and nothing is added to them.

    Args:
        step: see :class:`paddle_resnet.benchmark.step_speed.Step`.

    Returns:
        dict: ``rows``, a dict per shape and direction that has more than one candidate, with
        ``shape`` (text), ``direction`` (``forward``, ``inference``, ``pooled``, ``data`` or
        ``weights``), ``chosen`` and ``milliseconds`` (by algorithm, CPU time of the fastest of
        several calls; infinity for one that failed), ``threads``, and what was given.

    Raises:
        Unavailable: the operator cannot be built.
        ModelError: an unknown network.
    """
    work = Step(**step)
    with kernels.use("require"), measuring_anew(build.library()) as measured:
        work.run("require")
        work.network.eval()
        with paddle.no_grad(), activation_dtype(work.precision):
            work.network(work.images)
    rows = [
        {
            "shape": profile.shape_text(list(each.shape)),
            "direction": each.direction,
            "chosen": each.algorithm,
            "milliseconds": each.milliseconds,
            "threads": each.threads,
        }
        for each in measured
    ]
    return {"rows": rows, **step}


def text(metrics: dict[str, Any]) -> str:
    """Return a table: a row per shape and direction, and how often each algorithm was chosen."""
    lines = [
        f"{'layer':<40}{'direction':<11}"
        + "".join(f"{name + ' ms':>13}" for name in ALGORITHMS)
        + "  chosen    times the next one"
    ]
    for row in metrics["rows"]:
        times = row["milliseconds"]
        cells = "".join(
            f"{times[name]:>13.3f}" if name in times else " " * 13 for name in ALGORITHMS
        )
        others = [value for name, value in times.items() if name != row["chosen"]]
        gain = min(others) / times[row["chosen"]] if times[row["chosen"]] else float("inf")
        lines.append(
            f"{row['shape']:<40}{row['direction']:<11}{cells}  {row['chosen']:<10}{gain:>5.2f}"
        )
    counts = [
        f"{name} {sum(row['chosen'] == name for row in metrics['rows'])}" for name in ALGORITHMS
    ]
    lines.append(f"chosen: {', '.join(counts)}; shapes with one candidate are not listed")
    return "\n".join(lines)
