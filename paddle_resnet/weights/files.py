"""Weights in safetensors files: written in one piece, read without running anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Union

import numpy as np
from paddle import nn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from ..errors import WeightsError, nearest
from ..files import atomic_write_bytes

#: The entry of a file's safetensors metadata that holds our own, as JSON.
_METADATA_KEY = "paddle_resnet"


def save_weights(
    network: nn.Layer, path: Union[str, Path], metadata: Union[dict[str, Any], None] = None
) -> Path:
    """Write a network's state dict into a safetensors file, whole or not at all.

    Args:
        network: any ``paddle.nn.Layer``; parameters and BN running statistics are saved under
            their state-dict names, in their own dtypes.
        path: the file to write.
        metadata: facts to keep with the weights (JSON types), such as the network's name and the
            classes, see :mod:`paddle_resnet.weights.trained`.

    Returns:
        Path: the file.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file stays as it was.
    """
    path = Path(path)
    arrays = {name: np.ascontiguousarray(t.numpy()) for name, t in network.state_dict().items()}
    atomic_write_bytes(path, safetensors_bytes(arrays, {_METADATA_KEY: json.dumps(metadata or {})}))
    return path


def read_weights(path: Union[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and our metadata of a safetensors file.

    Raises:
        WeightsError: the file is missing, damaged or no safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no weights file '{path}'.")
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = json.loads((file.metadata() or {}).get(_METADATA_KEY, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"'{path}' is no sound safetensors file: {str(error).splitlines()[0]}"
        ) from None


def load_weights(network: nn.Layer, source: Union[str, Path]) -> None:
    """Load a safetensors file into a network of the same shape.

    Raises:
        WeightsError: the file is damaged, or made for another network; the sentence names the
            first differences. The network is left as it was.
    """
    arrays, _ = read_weights(source)
    assign_weights(network, arrays, str(source))


def assign_weights(network: nn.Layer, arrays: dict[str, np.ndarray], source: str) -> None:
    """Copy arrays into a network, all of them or none.

    Raises:
        WeightsError: names or shapes differ; ``source`` says in the sentence whose they are.
    """
    own = network.state_dict()
    problems = [f"'{name}' is missing" for name in own if name not in arrays]
    problems += [f"'{name}' is unknown" + nearest(name, own) for name in arrays if name not in own]
    problems += [
        f"'{name}' has shape {list(arrays[name].shape)}, expected {list(own[name].shape)}"
        for name in own
        if name in arrays and list(arrays[name].shape) != list(own[name].shape)
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise WeightsError(
            f"the weights of '{source}' were made for another network: "
            f"{'; '.join(problems[:3])}{more}."
        )
    for name, tensor in own.items():
        tensor.set_value(arrays[name])
