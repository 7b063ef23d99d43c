"""A training's whole state in one file: nested values, whose arrays are stored as safetensors.

One file can be replaced atomically; two could disagree after a power cut.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as safetensors_bytes

from ..errors import WeightsError
from ..io.atomic_files import atomic_write_bytes
from ..io.checksum import checksum

_FORMAT = "paddle_resnet checkpoint 1"
_KEY = "paddle_resnet_checkpoint"
#: What stands in the JSON where an array was.
_REFERENCE = "$array"
_DTYPES = {
    **{"F64": "f8", "F32": "f4", "F16": "f2", "BOOL": "?"},
    **{f"{kind}{8 * size}": f"{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


class CorruptCheckpoint(WeightsError):
    """A checkpoint that is not what was once written."""


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state, with a checksum over all of it.

    Args:
        path: the file; an older one stays until the new one is whole and on the disk.
        state: dicts with text keys, lists, texts, numbers, None, and NumPy arrays of numbers.

    Raises:
        OSError: the file cannot be written.
        TypeError: the state holds something else.
    """
    atomic_write_bytes(path, checkpoint_bytes(state))


def checkpoint_bytes(state: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint file; see :func:`write_checkpoint`."""
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_without_arrays(state, "", arrays))
    head = {"format": _FORMAT, "sha256": checksum(arrays, text), "state": text}
    # One entry: of several, safetensors writes now this, now that one first.
    return safetensors_bytes(arrays, {_KEY: json.dumps(head)})


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state that was written.

    Raises:
        CorruptCheckpoint: the file is no checkpoint, or not as it was written.
        WeightsError: there is no such file, or it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"there is no checkpoint '{path}' to go on from.") from None
    except (OSError, MemoryError) as error:
        raise WeightsError(f"the checkpoint '{path}' cannot be read: {error}.") from None
    try:
        return _state_of(data)
    # What a parser of damaged text may raise. RecursionError: lists within lists within lists.
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        reason = str(error)[:100].split("\n")[0]
        raise CorruptCheckpoint(
            f"the checkpoint '{path}' is damaged or is no checkpoint ({reason})."
        ) from None


def _state_of(data: bytes) -> dict[str, Any]:
    tensors = deserialize(data)
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    head = json.loads(metadata[_KEY])
    if head["format"] != _FORMAT:
        raise ValueError(f"it does not say that it is a {_FORMAT}")
    arrays = {
        name: np.frombuffer(view["data"], f"<{_DTYPES[view['dtype']]}").reshape(view["shape"])
        for name, view in tensors
    }
    if checksum(arrays, head["state"]) != head["sha256"]:
        raise ValueError("its checksum is wrong")
    state = _with_arrays(json.loads(head["state"]), arrays)
    if not isinstance(state, dict):
        raise ValueError("it holds no state")
    return state


def _without_arrays(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return JSON in which arrays are references, and collect the arrays by their places."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            raise TypeError(f"{place} is an array of {value.dtype}, which no checkpoint can hold")
        name = place.lstrip("/") or "array"
        while name in arrays:
            name += "'"
        arrays[name] = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        return {_REFERENCE: name}
    if isinstance(value, Mapping):
        if _REFERENCE in value or not all(isinstance(key, str) for key in value):
            raise TypeError(f"{place or 'the state'} has keys that are no texts, or {_REFERENCE}")
        return {key: _without_arrays(v, f"{place}/{key}", arrays) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(v, f"{place}/{i}", arrays) for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_REFERENCE}:
            return arrays[value[_REFERENCE]]
        return {key: _with_arrays(v, arrays) for key, v in value.items()}
    if isinstance(value, list):
        return [_with_arrays(v, arrays) for v in value]
    return value
