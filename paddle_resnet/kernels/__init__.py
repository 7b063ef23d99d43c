"""An optional operator for x86-64 CPUs: conv (+ pool) + BN (+ residual) (+ activation function).

Correctness never depends on it. If it is off, cannot be built or does not support a layer, plain
Paddle computes the same. The environment variable ``PADDLE_RESNET_KERNELS`` selects the mode:

- ``auto`` (default): the operator where it can be built; a warning line if it cannot;
- ``off``: plain Paddle;
- ``require``: as ``auto``, but an error if it cannot be built.

It is built on first use, in about 20 seconds, and cached in the package's cache folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from ..errors import UserError, did_you_mean

MODES = ("auto", "off", "require")
#: Set by :func:`use`; each thread has its own.
_chosen: ContextVar[str | None] = ContextVar("PADDLE_RESNET_KERNELS", default=None)


def mode() -> str:
    """Return ``auto``, ``off`` or ``require``.

    Raises:
        UserError: ``PADDLE_RESNET_KERNELS`` is none of them.
    """
    wanted = _chosen.get() or os.environ.get("PADDLE_RESNET_KERNELS", "").strip().lower() or "auto"
    if wanted not in MODES:
        raise UserError(
            f"PADDLE_RESNET_KERNELS is '{wanted}', expected one of {', '.join(MODES)}."
            + did_you_mean(wanted, MODES)
        )
    return wanted


@contextlib.contextmanager
def use(wanted: str) -> Iterator[None]:
    """Set the mode inside a ``with`` block, over the environment variable; per thread.

    Args:
        wanted: ``auto``, ``off`` or ``require``.

    Raises:
        UserError: ``wanted`` is none of them.
    """
    token = _chosen.set(wanted)
    try:
        mode()
        yield
    finally:
        _chosen.reset(token)


def release() -> None:
    """Free the blocks and compiled convolutions that the operator caches for the next step.

    Useful between networks or image sizes in one process. Memory of living tensors and scratch
    buffers stays.
    """
    from . import build

    build.release()
