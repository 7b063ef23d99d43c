"""Counts in words: the per-layer table of a network, and what 1x1 convolutions save."""

from __future__ import annotations

import dataclasses
from typing import Any

from .counting import Count

COLUMNS = ("layer", "kind", "output", "parameters", "statistics", "MACs")


def as_text(table: Count, title: str) -> str:
    """Return a table with a row per layer, the sums, and what kinds of layers there are.

    MACs are multiply-accumulates for one image: one each for a multiplication and the addition
    behind it. The output's shape is without the batch; statistics are BN's running ones, which
    Paddle lists among the parameters though no gradient moves them.
    """
    lines = [COLUMNS]
    for row in table.rows:
        shape = "x".join(map(str, row.shape[1:]))
        numbers = (f"{n:,}" if n else "" for n in (row.parameters, row.statistics, row.macs))
        lines.append((row.name, row.kind, shape, *numbers))
    sums = (f"{table.total(column):,}" for column in ("parameters", "statistics", "macs"))
    lines.append(("total", "", "", *sums))
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    text = [title, ""]
    for line in lines:
        cells = [
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        text.append("  ".join(cells).rstrip())
    return "\n".join([*text, "", summary(table)])


def summary(table: Count) -> str:
    """Return the counts of layers in one sentence: main path, projections, linear layers."""
    convolutions, projections = table.layers("conv"), table.layers("projection")
    linears, gates = table.layers("linear"), table.layers("gate")
    main = f"{convolutions} convolutions on the main path + {linears} linear"
    beside = f"{projections} projections beside it"
    beside += f", {gates} in squeeze-and-excitation gates" if gates else ""
    return f"{main} = {convolutions + linears} layers; {beside}."


def as_dict(table: Count) -> dict[str, Any]:
    """Return the table as what JSON can hold."""
    totals = {column: table.total(column) for column in ("parameters", "statistics", "macs")}
    kinds = ("conv", "projection", "gate", "linear")
    return {
        "rows": [dataclasses.asdict(row) for row in table.rows],
        **totals,
        "layers": {kind: table.layers(kind) for kind in kinds},
    }


def convolution_macs(height: int, width: int, size: int, channels: int, filters: int) -> int:
    """Return the multiplications of a convolution from ``channels`` to ``filters`` channels.

    Args:
        height, width (int): of the output.
        size (int): of the square kernel.
        channels, filters (int): of input and output.
    """
    return height * width * filters * size * size * channels


def inception_costs() -> dict[str, int]:
    """Return what the 5x5 branch of an Inception module costs on a 28x28x192 activation.

    Szegedy et al. 2014 (arXiv:1409.4842), section 4: 32 filters of 5x5, directly or behind a 1x1
    convolution to 16 channels, the "bottleneck".
    """
    reduce = convolution_macs(28, 28, 1, 192, 16)
    then = convolution_macs(28, 28, 5, 16, 32)
    return {
        "direct": convolution_macs(28, 28, 5, 192, 32),
        "reduce": reduce,
        "then": then,
        "bottleneck": reduce + then,
    }
