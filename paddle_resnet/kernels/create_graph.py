"""Whether the backward pass under way is recorded, for a second derivative."""

from __future__ import annotations

import sys

_BACKWARD = ("paddle.autograd.backward_mode", "paddle.base.dygraph.tensor_patch_methods")


def is_recording() -> bool:
    """Return whether ``paddle.grad(..., create_graph=True)`` runs the backward pass under way.

    Paddle does not tell operators, and ``paddle.is_grad_enabled()`` is True in ``backward()`` too:
    the arguments of the innermost of the two calls on the stack say so.
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
