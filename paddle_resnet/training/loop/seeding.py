"""Seeds of the random generators, and deterministic sums on GPUs."""

from __future__ import annotations

import os
import random
from typing import Optional

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


def seed_epoch(seed: Optional[int], epoch: int) -> None:
    """Seed what is drawn between two epochs; nothing if there is no seed."""
    if seed is not None:
        _seed(seed, 1, epoch)


def seed_step(seed: Optional[int], step: int, rank: int) -> None:
    """Seed what a step draws, for this rank's shard of the batch; nothing if there is no seed.

    Dropout and stochastic depth then need no state in a checkpoint: a resumed run draws at step n
    what the uninterrupted one would have drawn.
    """
    if seed is not None:
        _seed(seed, 0, step, *([rank] if rank else []))


def _seed(*words: int) -> None:
    # SeedSequence spreads near numbers far apart, and its values are the same in every NumPy.
    paddle_seed, numpy_seed, python_seed = map(
        int, np.random.SeedSequence(words).generate_state(3, np.uint32)
    )
    paddle.seed(paddle_seed)
    np.random.seed(numpy_seed)
    random.seed(python_seed)
