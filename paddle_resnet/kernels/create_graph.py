"""Whether the current backward pass is recorded, for a second derivative."""

from __future__ import annotations

import sys

_BACKWARD = ("paddle.autograd.backward_mode", "paddle.base.dygraph.tensor_patch_methods")


def is_recording() -> bool:
    """Return whether the current backward pass belongs to ``paddle.grad(..., create_graph=True)``.

    Operators get no such flag from Paddle, and ``paddle.is_grad_enabled()`` is True in
    ``backward()`` too. So this reads the argument of the innermost of the two calls on the stack.
    """
    frame = sys._getframe()
    while frame is not None:
        name, module = frame.f_code.co_name, frame.f_globals.get("__name__")
        if name == "grad" and module == "paddle.base.dygraph.base":
            return frame.f_locals["create_graph"]
        if name == "backward" and module in _BACKWARD:
            return False
        frame = frame.f_back
    return False
