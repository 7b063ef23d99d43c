"""Match the arrays of a file with those of a network, in its shapes and dtypes."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection, Sequence
from typing import Optional

import numpy as np
import paddle
from paddle import Tensor, nn

from ..errors import WeightsError, for_display
from ..layers.stems import adapt_first_conv
from . import key_names
from .load_report import LoadReport
from .prefixes import find_prefixes, names_under
from .state_dict_file import StateDictFile, widen_bfloat16

_FLOATS = ("bfloat16", "float16", "float32", "float64")


def match(
    network: nn.Layer,
    contents: StateDictFile,
    source: str,
    *,
    strict: bool = True,
    new_head: bool = False,
    adapt_input: bool = False,
    prefix: Optional[str] = None,
    origin: Optional[str] = None,
    advice: str = "",
) -> tuple[dict[str, np.ndarray], LoadReport]:
    """Return the arrays under the network's names and in its shapes, and the report.

    The arguments are those of :func:`paddle_resnet.weights.save_load.load_weights`, and ``advice``:
    the end of the strict mode's error. Default: ``new_head=True``, where only the head differs.

    Raises:
        WeightsError: names, shapes or types differ in a way that the options do not allow.
    """
    own = network.state_dict()
    linear = linear_weights(network)
    blocks = key_names.block_names(own)
    origin = origin or contents.origin or key_names.origin_of(contents.arrays)
    report = LoadReport(source, contents.format, origin, skipped=dict(contents.ignored))
    report.notes += contents.notes
    values: dict[str, np.ndarray] = {}
    seen: set[str] = set()
    #: Objections of the strict mode: whether it concerns a head, and the sentence.
    problems: list[tuple[bool, str]] = []

    def skip(theirs: str, name: str, why: str) -> None:
        report.skipped[theirs] = why
        problems.append((key_names.is_head(name), f"'{theirs}' {why}"))

    prefix = f"{prefix}." if prefix and not prefix.endswith(".") else prefix
    names = _below(prefix, contents.arrays, source, own, blocks)
    for theirs, array in contents.arrays.items():
        if theirs not in names:
            report.skipped[theirs] = f"does not begin with '{prefix}'"
            continue
        name = key_names.to_own_name(names[theirs], own, blocks)
        if name not in own:
            reason = key_names.is_ignorable(name)
            if reason:
                report.skipped[theirs] = reason
            else:
                # Slow: only for the names that the sentence shows.
                skip(theirs, name, unknown(name, own) if len(problems) < 3 else "is unknown")
            continue
        if name in seen:
            skip(theirs, name, f"is a second '{name}'")
            continue
        seen.add(name)
        shape = list(own[name].shape)
        fitted = _fit(array, shape, name in linear, origin)
        if fitted is None and adapt_input and _is_first_conv(name, array, shape, own):
            fitted = adapt_first_conv(array, shape[1])
            report.notes.append(f"'{name}' went from {array.shape[1]} to {shape[1]} channels")
        if fitted is None and list(array.shape) == shape:
            skip(theirs, name, "is square: say origin='torch' if it is transposed, or 'paddle'")
        elif fitted is None:
            skip(theirs, name, f"has shape {list(array.shape)}, expected {shape}")
        elif (cast := _cast(fitted, own[name])) is None:
            skip(theirs, name, f"holds {array.dtype}, expected {_dtype(own[name])}")
        else:
            values[name] = cast
            report.matched[name] = theirs

    report.missing = [name for name in own if name not in values]
    problems[:0] = [
        (key_names.is_head(name), f"'{name}' is missing")
        for name in report.missing
        if name not in seen
    ]
    report.notes += _casts(contents.arrays, values, report.matched)
    broken = [name for name, array in values.items() if not np.isfinite(array).all()]
    if broken:
        report.notes.append(f"{len(broken)} arrays hold NaN or infinity, such as '{broken[0]}'")

    blocking = [text for about_head, text in problems if not (new_head and about_head)]
    if values and not (strict and blocking):
        return values, report
    prefixes = find_prefixes(contents.arrays, own, blocks) if prefix is None else []
    if len(prefixes) == 1 and all(name.startswith(prefixes[0]) for name in contents.arrays):
        options = {"strict": strict, "new_head": new_head, "adapt_input": adapt_input}
        values, report = match(
            network, contents, source, prefix=prefixes[0], origin=origin, advice=advice, **options
        )
        report.notes.insert(0, f"'{prefixes[0]}' taken off all names")
        return values, report
    words = [text for _, text in problems] if not values else blocking
    if advice and values:
        raise made_for_another(source, words, advice)
    if prefixes:
        raise made_for_another(source, words, _choose(prefixes), "prefix", prefixes)
    if not values:
        raise made_for_another(source, words, f" The file's names are such as {_some(names)}.")
    if not new_head and all(about_head for about_head, _ in problems):
        hint = " To keep the rest and start with a new head, say new_head=True."
        raise made_for_another(source, words, hint)
    if all(new_head and key_names.is_head(name) for name in report.missing):
        hint = " strict=False leaves out what the network has no place for."
        raise made_for_another(source, words, hint, "strict", ["false"])
    raise made_for_another(source, words)


def _below(
    prefix: Optional[str],
    names: Collection[str],
    source: str,
    own: Collection[str],
    blocks: Sequence[str],
) -> dict[str, str]:
    """Return the names that begin with the prefix, each with what is left of it.

    Raises:
        WeightsError: there are none; says what else they begin with.
    """
    if not prefix:
        return {name: name for name in names}
    found = names_under(names, prefix)
    if found:
        return found
    fitting = find_prefixes(names, own, blocks)
    raise WeightsError(
        f"no array in '{source}' has a name that begins with '{for_display(prefix)}': "
        + (
            f"those that begin with {_either(fitting)} fit the network."
            if fitting
            else f"the names are such as {_some(names)}."
        ),
        "prefix",
        fitting,
    )


def _choose(prefixes: Sequence[str]) -> str:
    if len(prefixes) == 1:
        return (
            f" The names that begin with '{prefixes[0]}' fit: prefix='{prefixes[0]}' leaves the "
            "others out."
        )
    return f" Its names begin with {_either(prefixes)}: say prefix= which of them to load."


def _either(prefixes: Sequence[str]) -> str:
    return " or ".join(f"'{prefix}'" for prefix in prefixes[:5])


def _some(names: Collection[str]) -> str:
    more = f" ({len(names):,} in all)" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in heapq.nsmallest(3, names)) + more


def unknown(name: str, own: Collection[str]) -> str:
    """Return the sentence for a name that the network lacks, with the nearest it has."""
    close = difflib.get_close_matches(name, own, n=1)
    return f"is unknown (nearest: '{close[0]}')" if close else "is unknown"


def made_for_another(
    source: str,
    problems: Sequence[str],
    hint: str = "",
    option: str = "",
    choices: Sequence[str] = (),
) -> WeightsError:
    """Return the error that names the first differences between a file and a network."""
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return WeightsError(
        f"the weights of '{source}' were made for another network: "
        f"{'; '.join(problems[:3])}{more}.{hint}",
        option,
        choices,
    )


def assign(network: nn.Layer, values: dict[str, np.ndarray]) -> None:
    """Copy arrays that `match` returned into a network's parameters and statistics."""
    own = network.state_dict()
    for name, array in values.items():
        tensor = own[name]
        if _dtype(tensor) == "bfloat16":
            tensor.set_value(paddle.to_tensor(array).astype("bfloat16"))
        else:
            tensor.set_value(np.ascontiguousarray(array))


def linear_weights(network: nn.Layer) -> set[str]:
    """Return the names of the weights that torch keeps transposed."""
    # `DataParallel` shows up in the names of layers and not in those of the state dict.
    network = network._layers if isinstance(network, paddle.DataParallel) else network
    layers = network.named_sublayers(include_self=True)
    return {f"{name}.weight".lstrip(".") for name, it in layers if isinstance(it, nn.Linear)}


def _fit(
    array: np.ndarray, shape: list[int], linear: bool, origin: Optional[str]
) -> Optional[np.ndarray]:
    """Return the array in the network's shape; None if that is impossible.

    torch keeps a linear layer's weight as [out, in], Paddle as [in, out]; a 1x1 convolution is
    [out, in, 1, 1] in both and computes the same as a linear layer.
    """
    if array.ndim == 4 and len(shape) == 2 and array.shape[2:] == (1, 1):
        array, origin = array[:, :, 0, 0], "torch"  # out first, as torch has it
    elif array.ndim == 2 and len(shape) == 4 and shape[2:] == [1, 1]:
        fitted = _fit(array, [shape[1], shape[0]], True, origin)  # as if ours were linear
        return None if fitted is None else fitted.T[:, :, None, None]
    straight, transposed = list(array.shape) == shape, list(array.T.shape) == shape
    if not (linear and array.ndim == 2 and transposed):
        return array if straight else None
    if not straight:
        return array.T
    # Square: the shape does not decide.
    return {"torch": array.T, "paddle": array}.get(origin or "")


def _is_first_conv(name: str, array: np.ndarray, shape: list[int], own: dict[str, Tensor]) -> bool:
    return (
        name == next((n for n, tensor in own.items() if len(tensor.shape) == 4), None)
        and array.ndim == 4
        and (array.shape[0], *array.shape[2:]) == (shape[0], *shape[2:])
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).rpartition(".")[2]


def _cast(array: np.ndarray, tensor: Tensor) -> Optional[np.ndarray]:
    """Return the array in the tensor's type (float32 for bfloat16); None for other dtypes."""
    wanted = _dtype(tensor)
    if wanted in _FLOATS and array.dtype == np.uint16:
        array = widen_bfloat16(array)  # how Paddle hands bfloat16 to NumPy
    numpy_type = np.dtype("float32" if wanted == "bfloat16" else wanted)
    return array.astype(numpy_type, copy=False) if array.dtype.kind == numpy_type.kind else None


def _casts(
    arrays: dict[str, np.ndarray], values: dict[str, np.ndarray], matched: dict[str, str]
) -> list[str]:
    changes = [
        f"{arrays[matched[name]].dtype} to {array.dtype}"
        for name, array in values.items()
        if arrays[matched[name]].dtype != array.dtype
    ]
    return [f"{changes.count(each)} arrays cast from {each}" for each in dict.fromkeys(changes)]
