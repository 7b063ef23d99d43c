"""Find the state dict in what a pickle held: by itself, in a checkpoint, or in a whole network."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any, Optional

from ..io.pickled_arrays import Array, NotNumbers
from ..io.safe_pickle import Foreign, PickleError
from .state_dict_file import (
    LONGEST_NAME,
    PADDLE_TABLE,
    StateDictFile,
    TensorStub,
    printable,
    widened,
)

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
_MAX_NESTING = 4
_MOST_NAMES = 5
#: Of whole networks; a file may nest one module in itself without end.
_DEEPEST_MODULE, _MOST_MODULES = 12, 50_000


def contents_of(
    thing: Any, file_format: str, entry: Optional[str] = None, unknown: Collection[str] = ()
) -> StateDictFile:
    """Find the state dict in what a pickle held, and make its entries arrays.

    Args:
        thing: a state dict, or dicts around one.
        file_format: ``paddle`` or ``torch``.
        entry: which of several state dicts to take; None: the first of `WRAPPERS`.
        unknown: the names in the pickle that its reader did not know.

    Raises:
        PickleError: there is no state dict, or an array in it is not what it says.
    """
    contents = StateDictFile(file_format, {})
    state = _Search(contents.notes, unknown).state_dict(thing, entry)
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
                contents.ignored[name] = _kind(value)
            continue
        try:
            array = tensor.to_numpy()
        except NotNumbers:
            if printable(name):
                contents.ignored[name] = "an array of something other than numbers"
            continue
        bfloat16 += getattr(tensor, "is_bfloat16", False)
        contents.arrays[name] = array
    if bfloat16:
        contents.notes.append(widened(bfloat16))
    if unknown:
        contents.notes.append(f"left alone beside the weights: {_names(sorted(unknown))}")
    return contents


class ChooseEntry(PickleError):
    """A file with several state dicts, or without the one that was asked for."""

    def __init__(self, sentence: str, entries: Collection[str]) -> None:
        super().__init__(sentence)
        self.entries = list(islice(entries, _MOST_NAMES))


class _Search:
    """One search. Results are cached per object, because a file may repeat it.

    Args:
        notes: takes what a user should know of the way to the state dict.
        unknown: see `contents_of`.
    """

    def __init__(self, notes: list[str], unknown: Collection[str]) -> None:
        self.notes = notes
        self.unknown = unknown
        self.modules_left = _MOST_MODULES
        self.of_modules: dict[int, dict[str, Any]] = {}

    def state_dict(self, thing: Any, entry: Optional[str]) -> dict[Any, Any]:
        """Return the entries of the state dict in ``thing``."""
        for _ in range(_MAX_NESTING):
            here = self.entries(thing)
            inside = {
                key: value for key, value in here.items() if printable(key) and self.entries(value)
            }
            if entry is not None:
                if entry not in inside:
                    raise ChooseEntry(
                        f"it has no state dict '{entry}', only: {_names(inside)}", inside
                    )
                thing, entry = inside[entry], None
                continue
            wrappers = [key for key in WRAPPERS if key in inside]
            if not wrappers and _has_tensors(here):
                if isinstance(thing, Foreign) and not thing.entries:
                    self.notes.append(f"taken from a whole network, an object of {thing.name}")
                return here
            wrappers = wrappers or self.of_other_names(inside)
            if not wrappers:
                self.refuse(thing, here)
            self.notes.append(f"taken from its entry '{wrappers[0]}'")
            if len(wrappers) > 1:
                others = ", ".join(map(repr, wrappers[1:]))
                self.notes.append(f"it also has {others}: choose with entry=")
            thing = inside[wrappers[0]]
        self.refuse(None, {})

    def of_other_names(self, inside: dict[str, Any]) -> list[str]:
        """Return the wrapper by a name of its own, such as ``{"resnet": {...}, "epoch": 3}``."""
        # A file may contain one dict under a million names: search each object once.
        distinct = {id(value): value for value in inside.values()}
        states = {key for key, value in distinct.items() if _has_tensors(self.entries(value))}
        wrappers = [key for key, value in inside.items() if id(value) in states]
        if len(wrappers) > 1:
            raise ChooseEntry(
                f"it has several state dicts: choose entry= one of {_names(wrappers)}", wrappers
            )
        return wrappers

    def entries(self, thing: Any) -> dict[Any, Any]:
        """Return what a dict holds, an object that is a kind of dict, or a whole network."""
        if isinstance(thing, Foreign):
            if thing.entries or "_modules" not in thing.attributes:
                return thing.entries
            if id(thing) not in self.of_modules:
                self.of_modules[id(thing)] = self.module_state(thing)
            return self.of_modules[id(thing)]
        return thing if type(thing) is dict else {}

    def module_state(self, module: Foreign) -> dict[str, Any]:
        """Return what ``state_dict()`` of a pickled ``torch.nn.Module`` would have returned."""
        found: dict[str, Any] = {}
        left = [("", 0, module)]
        while left and self.modules_left:
            self.modules_left -= 1
            prefix, depth, here = left.pop()
            if not isinstance(here, Foreign):
                continue
            passing = here.attributes.get("_non_persistent_buffers_set")
            passing = passing if type(passing) is list else []
            for kind in ("_parameters", "_buffers"):
                for name, value in _dict(here.attributes.get(kind)).items():
                    if type(name) is str and _tensor(value) is not None and name not in passing:
                        found[prefix + name] = value
            if depth < _DEEPEST_MODULE:
                children = [
                    (f"{prefix}{name}.", depth + 1, child)
                    for name, child in _dict(here.attributes.get("_modules")).items()
                    if type(name) is str and len(name) < LONGEST_NAME
                ]
                left += children[::-1]
        return found

    def refuse(self, thing: Any, here: dict[Any, Any]) -> None:
        """Return the sentence about an object that contains no state dict.

        Raises:
            PickleError: always.
        """
        objects = {key: it for key in WRAPPERS if isinstance(it := here.get(key), Foreign)}
        if isinstance(thing, Foreign) and not here:
            raise PickleError(f"it holds an object of {thing.name} and no state dict")
        for key, value in objects.items():
            raise PickleError(f"its entry '{key}' is an object of {value.name} and no state dict")
        asked = f"; it asks for {_names(sorted(self.unknown))}" if self.unknown else ""
        raise PickleError(f"there is no state dict in it (a dict of names and tensors){asked}")


def _tensor(value: Any) -> Any:
    if isinstance(value, (TensorStub, Array)):
        return value
    # `paddle.save` writes the tensors of nested objects as (name, array).
    if type(value) is tuple and len(value) == 2 and isinstance(value[1], Array):
        return value[1]
    return None


def _kind(value: Any) -> str:
    """Return why an entry of a state dict is no array."""
    if not isinstance(value, Foreign):
        return "no array"
    return f"no array but an object of {value.name}" + (f" ({value.why})" if value.why else "")


def _dict(thing: Any) -> dict[Any, Any]:
    return thing if type(thing) is dict else {}


def _has_tensors(state: dict[Any, Any]) -> bool:
    return any(_tensor(value) is not None for value in state.values())


def _names(keys: Collection[str]) -> str:
    shown = ", ".join(islice(keys, _MOST_NAMES)) or "none"
    return shown + (f" and {len(keys) - _MOST_NAMES} more" if len(keys) > _MOST_NAMES else "")
