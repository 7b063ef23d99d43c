"""Gradients, BN statistics and weights of several ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import paddle
from paddle import Tensor, nn

from .collectives import all_reduce_sum, is_rank0, world_size


def all_reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its sum over all ranks, in one exchange.

    Each rank weights its loss by its part of the batch, so that shards may be of unequal sizes: the
    update is that of one process with the whole batch. A gradient that one rank lacks counts as 0
    there; one that all lack stays absent.
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


def all_reduce_mean(tensors: Sequence[Tensor]) -> None:
    """Replace float tensors by their means over all ranks, in one exchange."""
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
    """Give all ranks the weights and BN statistics of rank 0."""
    broadcast_tensors(network.state_dict().values())


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by those of rank 0."""
    if world_size() == 1:
        return
    for tensor in tensors:
        given = tensor.numpy()
        value = paddle.to_tensor(given if is_rank0() else np.zeros_like(given))
        all_reduce_sum(value)
        tensor.set_value(value)
