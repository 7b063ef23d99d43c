"""A training's whole state in one file, written in one piece.

One safetensors file holds the network's and the optimizer's tensors and, as JSON in its metadata,
the rest. One file can be replaced atomically; two could disagree after a power cut.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from ..errors import WeightsError
from ..files import atomic_write_bytes
from ..weights.files import assign_weights

_MODEL, _OPTIMIZER = "model/", "optimizer/"


def save_checkpoint(
    path: Path, network: nn.Layer, optimizer: paddle.optimizer.Optimizer, state: dict[str, Any]
) -> None:
    """Write everything that a later process needs to go on.

    Args:
        path: the file; an older one stays until the new one is whole and on the disk.
        network: its state dict is saved under its own names.
        optimizer: its moments are saved under the structured names of their parameters. Paddle
            names them by a counter of all layers ever made in the process, so that a process that
            built another network before could not load them.
        state: everything else (JSON types).

    Raises:
        OSError: the file cannot be written.
    """
    arrays = {_MODEL + name: tensor.numpy() for name, tensor in network.state_dict().items()}
    for name, tensor in _optimizer_tensors(network, optimizer).items():
        arrays[_OPTIMIZER + name] = tensor.numpy()
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"state": json.dumps(state), "optimizer": type(optimizer).__name__}
    atomic_write_bytes(path, safetensors_bytes(arrays, metadata))


def load_checkpoint(
    path: Path, network: nn.Layer, optimizer: paddle.optimizer.Optimizer
) -> dict[str, Any]:
    """Put a saved state back into a network and an optimizer of the same shape.

    Returns:
        dict: the ``state`` that was saved.

    Raises:
        WeightsError: no such file, a damaged one, or one of another network.
    """
    if not path.is_file():
        raise WeightsError(f"there is no checkpoint '{path}' to go on from.")
    try:
        with safe_open(str(path), framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
            state, kind = json.loads(metadata["state"]), metadata["optimizer"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise WeightsError(f"the checkpoint '{path}' is damaged or is no checkpoint.") from None
    if kind != type(optimizer).__name__:
        raise WeightsError(
            f"the checkpoint '{path}' was made with the optimizer {kind}, and the recipe now has "
            f"{type(optimizer).__name__}."
        )
    model = _section(arrays, _MODEL)
    assign_weights(network, model, str(path))
    names = {structured: p.name for structured, p in network.state_dict().items()}
    moments = {}
    for key, array in _section(arrays, _OPTIMIZER).items():
        structured, _, suffix = key.partition("|")
        if structured not in names:
            raise WeightsError(f"the checkpoint '{path}' was made with another optimizer.")
        moments[f"{names[structured]}_{suffix}"] = paddle.to_tensor(array)
    optimizer.set_state_dict(moments)
    return state


def _section(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}


def _optimizer_tensors(
    network: nn.Layer, optimizer: paddle.optimizer.Optimizer
) -> dict[str, paddle.Tensor]:
    """Return the optimizer's tensors under ``structured.name|moment``."""
    state = {
        key: value
        for key, value in optimizer.state_dict().items()
        if isinstance(value, paddle.Tensor)
    }
    named = {}
    # Longest names first: `conv2d_1` is the beginning of `conv2d_11` too.
    by_name = sorted(network.state_dict().items(), key=lambda item: -len(item[1].name))
    for structured, parameter in by_name:
        for key in [key for key in state if key.startswith(parameter.name + "_")]:
            named[f"{structured}|{key[len(parameter.name) + 1 :]}"] = state.pop(key)
    return named
