"""Calls and seconds of the operator by part and shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from . import build

#: forward: the convolution; data, weights: its gradients; norm: BN, sum and activation function.
PARTS = ("forward", "data", "weights", "norm")
_PARTS = (*PARTS, "norm")  # by csrc/profile.h's index: the norm forward, the norm backward

#: Reads and writes of an activation: statistics, normalization / sums, gradient of the input.
_PASSES = {3: 1 + 2, 4: 2 + 3}


@dataclass
class Row:
    """One part of all layers of one shape."""

    part: str
    #: ``direct``, ``winograd`` or ``gemm``; ``-`` for the norm.
    algorithm: str
    calls: int
    seconds: float
    #: Per call: operations of a convolution (two per multiply-add), or bytes of the norm.
    work: float
    #: Such as ``64->64 3x3 /1 at 32x32``: channels, kernel, stride, size of the input.
    text: str


def bfloat16_gflops(size: int, rounds: int) -> float:
    """Return the best speed of a bfloat16 matrix product, in GFLOP/s; 0.0 if there is none.

    Args:
        size: rows and columns of the matrices.
        rounds: products, of which the fastest counts.
    """
    library = build.library()
    seconds = library.paddle_resnet_bfloat16_product(size, rounds) if library else 0.0
    return 2 * size**3 / seconds / 1e9 if seconds else 0.0


@contextlib.contextmanager
def recording() -> Iterator[list[Row]]:
    """Profile the operator inside a ``with`` block; the list is filled at its end.

    Raises:
        Unavailable: the operator cannot be built, and ``PADDLE_RESNET_KERNELS`` is ``require``.
    """
    library = build.library()
    rows: list[Row] = []
    if library is None:
        yield rows
        return
    library.paddle_resnet_profile(1)
    try:
        yield rows
    finally:
        library.paddle_resnet_profile(0)
        lines = library.paddle_resnet_profile_rows().decode().splitlines()
        rows.extend(_row(line) for line in lines)


def shape_text(shape: list[int]) -> str:
    """Return a convolution's shape, such as ``64->64 3x3 /1 at 32x32``.

    Args:
        shape: n, c, h, w, o, kernel height and width, stride, dilation, groups, and whether the
            activations are bfloat16.
    """
    _, c, h, w, o, kh, kw, stride, dilation, groups, bfloat16 = shape
    details = (
        f" x{groups}" * (groups > 1) + f" dil {dilation}" * (dilation > 1) + " bf16" * bfloat16
    )
    return f"{c}->{o} {kh}x{kw} /{stride}{details} at {h}x{w}"


def _row(line: str) -> Row:
    part, calls, seconds, algorithm, *shape = line.split()
    n, c, h, w, o, kh, kw, oh, ow, stride, _, dilation, groups, bfloat16 = map(int, shape)
    outputs = n * oh * ow * o
    flop = 2.0 * outputs * kh * kw * c // groups
    return Row(
        part=_PARTS[int(part)],
        algorithm=algorithm,
        calls=int(calls),
        seconds=float(seconds),
        work=(2.0 if bfloat16 else 4.0) * outputs * _PASSES[int(part)]
        if int(part) in _PASSES
        else flop,
        text=shape_text([n, c, h, w, o, kh, kw, stride, dilation, groups, bfloat16]),
    )
