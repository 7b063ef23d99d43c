"""Rank, world size, and the exchange of values between the ranks of one training.

``python -m paddle.distributed.launch`` starts the processes, and Paddle's collectives connect them:
gloo between CPUs, nccl between GPUs. In a single process everything here does nothing.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, TypeVar

import numpy as np
import paddle
import paddle.distributed as dist
from paddle import Tensor

from ..errors import TrainingError, UserError

T = TypeVar("T")


class PeerLost(TrainingError):
    """Another rank of this training ended, so that this one cannot continue."""


def init_distributed() -> None:
    """Connect the processes that the launcher started; do nothing if there is only one."""
    if os.environ.get("PADDLE_TRAINERS_NUM", "1") != "1" and not dist.is_initialized():
        dist.init_parallel_env()


def world_size() -> int:
    """Return the number of ranks; 1 without a launcher."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the index of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_rank0() -> bool:
    """Return whether this is rank 0, which prints and writes."""
    return rank() == 0


def all_reduce_sum(tensor: Tensor) -> None:
    """Replace a tensor by its sum over all ranks, the same bits on each.

    Raises:
        PeerLost: another rank ended.
    """
    if world_size() == 1:
        return
    try:
        dist.all_reduce(tensor)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[-120:]
        raise PeerLost(
            f"another of the {world_size()} processes of this training ended or cannot be "
            f"reached, so that process {rank()} stops too ({reason})."
        ) from None


def all_reduce_array(values: Any) -> np.ndarray:
    """Return the sum of numbers over all ranks: float64, of the same shape."""
    tensor = paddle.to_tensor(np.asarray(values, np.float64))
    all_reduce_sum(tensor)
    return tensor.numpy()


def gather_interleaved(own: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` rows of all ranks in order; this rank has each ``world_size``-th."""
    rows = np.zeros((count, *own.shape[1:]))
    rows[rank() :: world_size()] = own
    return all_reduce_array(rows).astype(own.dtype)


def any_rank(flag: bool) -> bool:
    """Return True on every rank if ``flag`` is true on at least one."""
    return bool(all_reduce_array([float(flag)])[0]) if world_size() > 1 else flag


def broadcast_from_rank0(make: Callable[[], T]) -> T:
    """Return on every rank what ``make`` returns on rank 0 (JSON types); only there it is called.

    All ranks wait for each other here.

    Raises:
        UserError: what ``make`` raised, on every rank.
    """
    if world_size() == 1:
        return make()
    message, failure = b"", None
    if is_rank0():
        try:
            message = json.dumps({"value": make()}).encode()
        except UserError as error:
            message, failure = json.dumps({"error": str(error)}).encode(), error
    content = np.zeros(int(all_reduce_array([len(message)])[0]))
    content[: len(message)] = list(message)
    answer = json.loads(all_reduce_array(content).astype(np.uint8).tobytes())
    if failure is not None:
        raise failure
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["value"]


def rank0_first(make: Callable[[], T]) -> T:
    """Call ``make`` on rank 0 and then on the other ranks, which find its downloads and caches.

    Raises:
        UserError: what ``make`` raised.
    """
    made: list[T] = []
    broadcast_from_rank0(lambda: made.append(make()))
    return made[0] if made else make()
