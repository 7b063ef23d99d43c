"""Everything that is drawn at random, from one seed; and sums in one order."""

from __future__ import annotations

import os
import random

import numpy as np
import paddle


def seed_everything(seed: int) -> None:
    """Seed the generators of Paddle, NumPy and Python."""
    paddle.seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def be_deterministic() -> None:
    """Let a GPU compute the same bits every time, by algorithms that are slower.

    A CPU does anyway, at a fixed number of threads; its Paddle does not know the flags.
    """
    flags = {
        "FLAGS_cudnn_deterministic": True,
        "FLAGS_embedding_deterministic": True,
        "FLAGS_cudnn_exhaustive_search": False,
    }
    # cuBLAS reads this one when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if paddle.is_compiled_with_cuda():
        paddle.set_flags(flags)
