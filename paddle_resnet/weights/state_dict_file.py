"""What a weights file holds, once it has been read: named arrays and where they come from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Optional

import numpy as np

from ..io.pickled_arrays import Array
from ..io.safe_pickle import PickleError, Stub

#: Where training scripts put the state dict inside a checkpoint, the plain one before an average.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "ema",
)
#: A table that `paddle.save` adds to every state dict; it holds no weights.
PADDLE_TABLE = "StructuredToParameterName@@"
_MAX_NESTING = 4
_LONGEST_NAME = 300
_MOST_NAMES = 5


@dataclass
class StateDictFile:
    """The named arrays of a weights file, under the file's own names.

    The arrays may be read-only views of the file's bytes.
    """

    #: ``safetensors``, ``paddle`` or ``torch``.
    format: str
    arrays: dict[str, np.ndarray]
    #: Facts that were kept with the weights; ours in files that we wrote.
    metadata: dict[str, Any] = field(default_factory=dict)
    #: ``paddle`` or ``torch``, or None where the file's format alone does not tell.
    origin: Optional[str] = None
    #: Entries that are no arrays, and why they were left out.
    ignored: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class TensorStub(Stub):
    """Base of the stand-ins that :mod:`.torch_files` makes of tensors."""

    is_bfloat16 = False

    def to_numpy(self) -> np.ndarray:
        """Return a view of the file's bytes, or raise `PickleError` where the description lies."""
        raise NotImplementedError


def printable(name: Any) -> bool:
    """Return whether a name may be shown: one that could write over a terminal may not."""
    return isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_NAME


def widen_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 numbers given as uint16: the upper half of the bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def contents_of(thing: Any, file_format: str, entry: Optional[str] = None) -> StateDictFile:
    """Find the state dict in what a pickle held, and make its entries arrays.

    Args:
        thing: a state dict, or dicts around one.
        file_format: ``paddle`` or ``torch``.
        entry: which of several state dicts to take; None: the first of `WRAPPERS`.

    Raises:
        PickleError: there is no state dict, or an array in it is not what it says.
    """
    contents = StateDictFile(file_format, {})
    state = _state_dict(thing, entry, contents.notes)
    if file_format == "torch" or PADDLE_TABLE in state:
        contents.origin = file_format
    bfloat16 = 0
    for key, value in state.items():
        name = key.decode("latin-1") if isinstance(key, bytes) else key
        tensor = _tensor(value)
        if name == PADDLE_TABLE:
            continue
        if tensor is None or not isinstance(name, str):
            if printable(name):
                contents.ignored[name] = "no array"
            continue
        array = tensor.to_numpy()
        bfloat16 += getattr(tensor, "is_bfloat16", False)
        contents.arrays[name] = array
    if bfloat16:
        contents.notes.append(widened(bfloat16))
    return contents


def widened(count: int) -> str:
    """Return the note about arrays of a type that NumPy lacks and that float32 holds exactly."""
    return f"{count} arrays are bfloat16 in the file, read as float32 (exact)"


def _tensor(value: Any) -> Any:
    if isinstance(value, (TensorStub, Array)):
        return value
    # `paddle.save` writes the tensors of nested objects as (name, array).
    if type(value) is tuple and len(value) == 2 and isinstance(value[1], Array):
        return value[1]
    return None


def _state_dict(thing: Any, entry: Optional[str], notes: list[str]) -> dict[Any, Any]:
    for _ in range(_MAX_NESTING):
        if type(thing) is not dict:
            break
        inside = {
            key: value
            for key, value in thing.items()
            if type(value) is dict and value and printable(key)
        }
        if entry is not None:
            if entry not in inside:
                raise PickleError(f"it has no state dict '{entry}', only: {_names(inside)}")
            thing, entry = inside[entry], None
            continue
        wrappers = [key for key in WRAPPERS if key in inside]
        if not wrappers and _has_tensors(thing):
            return thing
        if not wrappers:
            # A wrapper by a name of its own, such as {"resnet": {...}, "epoch": 3}. A file may
            # hold one dict under a million names: look into each only once.
            distinct = {id(value): value for value in inside.values()}
            states = {key for key, value in distinct.items() if _has_tensors(value)}
            wrappers = [key for key, value in inside.items() if id(value) in states]
            if len(wrappers) > 1:
                choices = _names(wrappers)
                raise PickleError(f"it has several state dicts: choose entry= one of {choices}")
        if not wrappers:
            break
        notes.append(f"taken from its entry '{wrappers[0]}'")
        if len(wrappers) > 1:
            notes.append(f"it also has {', '.join(map(repr, wrappers[1:]))}: choose with entry=")
        thing = inside[wrappers[0]]
    raise PickleError("there is no state dict in it (a dict of names and tensors)")


def _has_tensors(state: dict[Any, Any]) -> bool:
    return any(_tensor(value) is not None for value in state.values())


def _names(keys: Collection[str]) -> str:
    shown = ", ".join(islice(keys, _MOST_NAMES)) or "none"
    return shown + (f" and {len(keys) - _MOST_NAMES} more" if len(keys) > _MOST_NAMES else "")
