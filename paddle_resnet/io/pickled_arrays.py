"""What a pickle of NumPy arrays names, as stand-ins for :mod:`paddle_resnet.io.safe_pickle`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy as np

from .safe_pickle import PickleError, Stub

#: Type codes of arrays of numbers. No ``O``: objects are what makes array pickles dangerous.
_CODES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_MAX_DIMENSIONS, _MAX_SIZE = 8, 2**40


class NotNumbers(PickleError):
    """An array of texts, objects, dates, records or complex numbers."""


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """Return ``sizes`` as a tuple.

    Raises:
        PickleError: it is no sequence of at most 8 whole numbers from 0 to 2**40.
    """
    if type(sizes) not in (tuple, list) or len(sizes) > _MAX_DIMENSIONS:
        raise PickleError("an array in it has no valid shape")
    if not all(type(size) is int and 0 <= size <= _MAX_SIZE for size in sizes):
        raise PickleError("an array in it has no valid shape (sizes must be whole and from 0 up)")
    return tuple(sizes)


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return ``shape`` as a tuple of sizes.

    Raises:
        PickleError: as for `checked_sizes`; or it is too large, even if for a zero it is empty:
            NumPy would refuse to make such an array.
    """
    sizes = checked_sizes(shape)
    if math.prod(filter(None, sizes)) > _MAX_SIZE:
        raise PickleError("an array in it has no valid shape (it is too large)")
    return sizes


class _Dtype(Stub):
    """``numpy.dtype(code, align, copy)``; the state holds the byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        code = code.decode("latin-1") if type(code) is bytes else code
        self.code = code if type(code) is str and code in _CODES else None
        self.order = "<"

    def set_state(self, state: Any) -> None:
        if type(state) is tuple and len(state) > 1 and state[1] in (">", b">"):
            self.order = ">"

    def to_numpy(self) -> np.dtype:
        if self.code is None:
            raise NotNumbers("it holds an array of something other than numbers")
        return np.dtype(self.order + self.code)


class Array(Stub):
    """An array as the file describes it, not yet believed."""

    state: Any = None

    def set_state(self, state: Any) -> None:
        """Remember ``(version, shape, dtype, fortran_order, data)``."""
        self.state = state

    def to_numpy(self) -> np.ndarray:
        """Return a read-only view of the file's bytes.

        Raises:
            NotNumbers: it is an array of something else.
            PickleError: the description is not that of an array, or lies about size.
        """
        if type(self.state) is not tuple or len(self.state) != 5:
            raise PickleError("an array in it has no content")
        _, shape, dtype, fortran_order, data = self.state
        if isinstance(data, _Encoded):
            data = data.data
        if not isinstance(dtype, _Dtype) or type(data) not in (bytes, bytearray):
            raise NotNumbers("it holds an array of something other than numbers")
        shape, kind = checked_shape(shape), dtype.to_numpy()
        if math.prod(shape) * kind.itemsize != len(data):
            raise PickleError(
                f"an array in it says {list(shape)} {kind.name} and has {len(data):,} bytes"
            )
        return np.frombuffer(data, kind).reshape(shape, order="F" if fortran_order else "C")


class _Encoded(Stub):
    """Bytes that protocol 2 had to write as text."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def _reconstruct(*_: Any) -> Array:
    return Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.set_state((1, shape, dtype, order == "F", data))
    return array


def _inert(*_: Any) -> Stub:
    return Stub()


def _once(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Work on each argument only once: a file may hand the same large one over a million times."""
    done: dict[int, tuple[Any, Any]] = {}

    def build(argument: Any = (), *_: Any) -> Any:
        if id(argument) not in done:
            done[id(argument)] = (argument, function(argument))  # kept alive, so its id stays its
        return done[id(argument)][1]

    return build


def _encode(text: Any) -> _Encoded:
    if type(text) is not str:
        raise PickleError("its pickle is corrupt (bytes that were no text)")
    return _Encoded(text.encode("latin-1"))


def _pairs(pairs: Any) -> dict[str, Any]:
    """Return Python 2's ``OrderedDict([[key, value], ...])`` as a dict with names as keys."""
    if type(pairs) not in (list, tuple):
        raise PickleError("its pickle is corrupt (a dict made of something else)")
    result = {}
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2 or type(pair[0]) not in (str, bytes):
            raise PickleError("its pickle is corrupt (a dict with other keys than names)")
        result[pair[0]] = pair[1]
    return result


def _items(items: Any = ()) -> Sequence[Any]:
    if type(items) not in (list, tuple):
        raise PickleError("its pickle is corrupt (a list made of something else)")
    return items


def array_names() -> dict[str, Optional[Callable[..., Any]]]:
    """Return what a dict of arrays, and the inert objects beside it in checkpoints, may name.

    A fresh table for each file: some entries remember what they have built.
    """
    pairs = _once(_pairs)
    names: dict[str, Optional[Callable[..., Any]]] = {
        "numpy.ndarray": None,
        "numpy.dtype": _Dtype,
        "_codecs.encode": _once(_encode),
        "collections.OrderedDict": lambda *given: pairs(*given) if given else {},
        "collections.defaultdict": lambda *_: {},
        "argparse.Namespace": _inert,
    }
    # numpy 2 moved `numpy.core` to `numpy._core`.
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray._reconstruct"] = _reconstruct
        names[f"{core}.multiarray.scalar"] = _inert
        names[f"{core}.numeric._frombuffer"] = _frombuffer
    for module in ("builtins", "__builtin__"):
        # Paddle pickles a tensor as `tuple((name, array))`.
        names.update({f"{module}.{kind}": _items for kind in ("tuple", "list", "set")})
        names.update({f"{module}.{kind}": None for kind in ("dict", "int", "float", "object")})
    return names
