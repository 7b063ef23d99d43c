"""A training's whole state in one file: nested values, whose arrays are stored as safetensors.

One file can be replaced atomically; two could disagree after a power cut.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as safetensors_bytes

from ..errors import WeightsError, for_display
from ..io.atomic_files import atomic_write_bytes
from ..io.checksum import checksum

_FORMAT = "paddle_resnet checkpoint 2"
_OLD_FORMAT = "paddle_resnet checkpoint 1"
_KEY = "paddle_resnet_checkpoint"
#: What stands in the JSON where an array was.
_REFERENCE = "$array"
_DTYPES = {
    **{"F64": "f8", "F32": "f4", "F16": "f2", "BOOL": "?"},
    **{f"{kind}{8 * size}": f"{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


class CorruptCheckpoint(WeightsError):
    """A checkpoint that is not what was once written."""


class UnreadableCheckpoint(WeightsError):
    """A checkpoint that the system does not give out: absent, no permission, a broken disk."""


class OldCheckpoint(WeightsError):
    """A checkpoint of a format that is no longer read."""


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


@dataclass(frozen=True)
class Checkpoint:
    """A valid checkpoint."""

    path: Path
    state: dict[str, Any]
    #: Over all of the state, as the file says and as it was computed anew.
    sha256: str


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check it.

    Raises:
        UnreadableCheckpoint: there is no such file, or it cannot be read.
        OldCheckpoint: it was written by an older version.
        CorruptCheckpoint: it is no checkpoint, or not as it was written.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UnreadableCheckpoint(f"there is no checkpoint '{path}' to resume from.") from None
    except (OSError, MemoryError) as error:
        raise UnreadableCheckpoint(f"the checkpoint '{path}' cannot be read: {error}.") from None
    try:
        tensors = deserialize(data)
        head = _head(data)
        if head["format"] == _OLD_FORMAT:
            raise OldCheckpoint(
                f"the checkpoint '{path}' was written by an older version of paddle_resnet, whose "
                "unfinished runs cannot be resumed: its weights can be used, with paddle-resnet "
                "predict."
            )
        state = _state_of(tensors, head)
    # What a parser of corrupt text may raise. RecursionError: lists within lists within lists.
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        reason = for_display(str(error).split("\n")[0])
        raise CorruptCheckpoint(
            f"the checkpoint '{path}' is corrupt or is no checkpoint ({reason})."
        ) from None
    return Checkpoint(Path(path), state, head["sha256"])


def _head(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<Q", data)
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return json.loads(metadata[_KEY])


def _state_of(tensors: Any, head: dict[str, Any]) -> dict[str, Any]:
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
