"""Several processes, one training: who this process is, and what they tell each other.

``python -m paddle.distributed.launch`` starts the processes, and Paddle's collectives connect them:
gloo between CPUs, nccl between GPUs. In a single process everything here does nothing.
Gradients are added up after the backward pass, each weighted by its share of the batch, so that
shares may be of unequal sizes: the update is that of one process with the whole batch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Callable, TypeVar

import numpy as np
import paddle
import paddle.distributed as dist
from paddle import Tensor, nn

from ..errors import TrainingError, UserError

T = TypeVar("T")


class PeerLost(TrainingError):
    """Another process of this training ended, so that this one cannot go on."""


def begin() -> None:
    """Connect the processes that the launcher started; nothing where there is one."""
    if os.environ.get("PADDLE_TRAINERS_NUM", "1") != "1" and not dist.is_initialized():
        dist.init_parallel_env()


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this one is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_rank0() -> bool:
    """Return whether this is the process that prints and writes."""
    return rank() == 0


def all_reduce_sum(tensor: Tensor) -> None:
    """Put the sum over all processes into the tensor, the same bits in each.

    Raises:
        PeerLost: another process ended.
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


def total(values: Any) -> np.ndarray:
    """Return numbers, added up over all processes: float64, of the same shape."""
    tensor = paddle.to_tensor(np.asarray(values, np.float64))
    all_reduce_sum(tensor)
    return tensor.numpy()


def gather_interleaved(own: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` rows of all processes, of which this one has each n-th, in their order."""
    rows = np.zeros((count, *own.shape[1:]))
    rows[rank() :: world_size()] = own
    return total(rows).astype(own.dtype)


def any_rank(flag: bool) -> bool:
    """Return whether it is so in any process: what one decides, all must do."""
    return bool(total([float(flag)])[0]) if world_size() > 1 else flag


def broadcast_from_rank0(make: Callable[[], T]) -> T:
    """Return what ``make`` returns in process 0 (JSON types), where alone it is called.

    No process goes on before all have come here.

    Raises:
        UserError: what ``make`` raised, in every process.
    """
    if world_size() == 1:
        return make()
    message, failure = b"", None
    if is_rank0():
        try:
            message = json.dumps({"value": make()}).encode()
        except UserError as error:
            message, failure = json.dumps({"error": str(error)}).encode(), error
    content = np.zeros(int(total([len(message)])[0]))
    content[: len(message)] = list(message)
    answer = json.loads(total(content).astype(np.uint8).tobytes())
    if failure is not None:
        raise failure
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["value"]


def rank0_first(make: Callable[[], T]) -> T:
    """Call ``make`` in process 0 and then in all others, which find its downloads and caches.

    Raises:
        UserError: what ``make`` raised.
    """
    made: list[T] = []
    broadcast_from_rank0(lambda: made.append(make()))
    return made[0] if made else make()


def all_reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by the sum over all processes, in one exchange.

    A gradient that one process lacks counts as 0 there; one that all lack stays absent.
    """
    if world_size() == 1:
        return
    trained = [parameter for parameter in parameters if not parameter.stop_gradient]
    with paddle.no_grad():
        present = paddle.to_tensor([float(p.grad is not None) for p in trained])
        pieces = [
            (paddle.zeros(p.shape) if p.grad is None else p.grad.astype("float32")).flatten()
            for p in trained
        ]
        together = paddle.concat([*pieces, present])
        all_reduce_sum(together)
        *pieces, present = paddle.split(together, [*(p.size for p in trained), len(trained)])
        for parameter, piece, owners in zip(trained, pieces, present.tolist()):
            if owners:
                gradient = piece.reshape(parameter.shape).astype(parameter.dtype)
                if parameter.grad is None:
                    parameter.grad = gradient
                else:
                    parameter.grad.set_value(gradient.astype(parameter.grad.dtype))


def average(tensors: Sequence[Tensor]) -> None:
    """Replace float tensors by their means over all processes, in one exchange."""
    if world_size() == 1 or not tensors:
        return
    with paddle.no_grad():
        together = paddle.concat([tensor.astype("float32").flatten() for tensor in tensors])
        all_reduce_sum(together)
        together = together / world_size()
        pieces = paddle.split(together, [tensor.size for tensor in tensors])
        for tensor, piece in zip(tensors, pieces):
            tensor.set_value(piece.reshape(tensor.shape).astype(tensor.dtype))


def broadcast_parameters(network: nn.Layer) -> None:
    """Give all processes the weights and running statistics of process 0."""
    if world_size() == 1:
        return
    for tensor in network.state_dict().values():
        given = tensor.numpy()
        value = paddle.to_tensor(given if is_rank0() else np.zeros_like(given))
        all_reduce_sum(value)
        tensor.set_value(value)
