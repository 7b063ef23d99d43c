"""An optional operator that computes conv + BN (+ residual) (+ ReLU) faster on x86 CPUs.

It is never needed: where it is off, cannot be built or does not know a layer, plain Paddle computes
the same. ``PADDLE_RESNET_KERNELS`` says when to use it:

- ``auto`` (the default): where it can be built and knows the layer; one line says so if it cannot;
- ``off``: never;
- ``require``: as ``auto``, but an error where it cannot be built.

It is built on first use, in about 20 seconds, and kept in the package's cache folder.
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
    """Choose a mode for the block, whatever the environment says; other threads keep theirs.

    Args:
        wanted: ``auto``, ``off`` or ``require``.

    Raises:
        UserError: another word.
    """
    token = _chosen.set(wanted)
    try:
        mode()
        yield
    finally:
        _chosen.reset(token)


def release() -> None:
    """Give memory and compiled convolutions back that the operator keeps for the next step.

    Worth a call between networks or image sizes in one process. What tensors hold stays, and so do
    scratch buffers; the next step takes anew what it needs.
    """
    from . import build

    build.release()
