"""Save and load weights: reads any format, writes those of three toolkits."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import paddle
from paddle import nn
from safetensors.numpy import save as safetensors_bytes

from ..errors import WeightsError, did_you_mean, for_display
from ..io.atomic_files import atomic_write_bytes
from ..io.checksum import checksum
from .load_report import LoadReport
from .matching import assign, linear_weights, made_for_another, match, unknown
from .readers import CHECKSUM_KEY, METADATA_KEY, open_weights
from .state_dict_file import widen_bfloat16


def save_weights(
    network: nn.Layer,
    path: Union[str, Path],
    metadata: Optional[dict[str, Any]] = None,
    format: Optional[str] = None,
) -> Path:
    """Write a network's state dict into a file, whole or not at all.

    Args:
        network: any ``paddle.nn.Layer``; parameters and BN running statistics are saved.
        path: the file to write.
        metadata: facts to keep with the weights (JSON types), such as the network's name and the
            classes, see
            :mod:`paddle_resnet.models.trained_model`. Only in the format ``safetensors``.
        format: one of

            - ``safetensors``: ours, under the state-dict names, in the tensors' own dtypes;
            - ``safetensors-float16``: the same with weights of two or more dimensions in float16,
              half the size, for inference; they are read back as float32. Norms, biases and
              running statistics keep their dtype: small variances would become subnormal;
            - ``paddle``: what ``paddle.save`` writes, for ``set_state_dict`` of the
              ``paddle.vision.models`` network of the same name;
            - ``torchvision``: safetensors with torch's names and layouts, for ``load_state_dict``
              of the torchvision (or timm) network of the same name.

            Default: by the extension, ``.safetensors`` or ``.pdparams``.

    Returns:
        Path: the file.

    Raises:
        WeightsError: the format is unknown or does not follow from the extension.
        OSError: the disk is full or the folder cannot be written; an older file stays as it was.
    """
    path = Path(path)
    format = format or _EXTENSIONS.get(path.suffix.lower())
    if format is None:
        raise WeightsError(
            f"'{path.name}' does not say what format to write: end it in .safetensors or .pdparams,"
            f" or say format= one of {', '.join(_WRITERS)} (torch reads 'torchvision', which is "
            "safetensors; its own pickles are never written)."
        )
    if format not in _WRITERS:
        raise WeightsError(
            f"unknown format {for_display(repr(format))}, expected one of {', '.join(_WRITERS)}."
            + did_you_mean(str(format), _WRITERS)
        )
    atomic_write_bytes(path, _WRITERS[format](network, metadata or {}))
    return path


def _as_float16(network: nn.Layer, metadata: dict[str, Any]) -> bytes:
    return _as_safetensors(network, metadata, half=True)


def _as_safetensors(network: nn.Layer, metadata: dict[str, Any], half: bool = False) -> bytes:
    arrays = {name: np.ascontiguousarray(t.numpy()) for name, t in network.state_dict().items()}
    if half:
        arrays |= {
            name: array.astype(np.float16)
            for name, array in arrays.items()
            if array.ndim > 1 and array.dtype == np.float32
        }
    # Within our one entry: of several, safetensors writes now this, now that one first.
    if isinstance(metadata, dict):
        metadata = {**metadata, CHECKSUM_KEY: checksum(arrays, json.dumps(metadata))}
    return safetensors_bytes(arrays, {METADATA_KEY: json.dumps(metadata)})


def _as_paddle(network: nn.Layer, _: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    # In protocol 3 names are plain text. numpy 2 writes its new name, which numpy before 1.26, and
    # so many a Paddle 2 machine, does not know; every numpy knows the old one.
    paddle.save(network.state_dict(), buffer, protocol=3)
    return buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


def _as_torchvision(network: nn.Layer, _: dict[str, Any]) -> bytes:
    linear = linear_weights(network)
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in network.state_dict().items():
        array = tensor.numpy()
        if array.dtype == np.uint16:
            array = widen_bfloat16(array)
        unit, _, part = name.rpartition(".")
        unit = "bn1" if unit == "conv1.7" else unit  # timm's name in the deep stem
        torch_part = {"_mean": "running_mean", "_variance": "running_var"}.get(part, part)
        arrays[f"{unit}.{torch_part}".lstrip(".")] = np.ascontiguousarray(
            array.T if name in linear else array
        )
        if part == "_variance":
            arrays[f"{unit}.num_batches_tracked"] = np.zeros((), np.int64)
    return safetensors_bytes(arrays, {"format": "pt"})


_EXTENSIONS = {".safetensors": "safetensors", ".pdparams": "paddle"}
_WRITERS: dict[str, Callable[[nn.Layer, dict[str, Any]], bytes]] = {
    "safetensors": _as_safetensors,
    "safetensors-float16": _as_float16,
    "paddle": _as_paddle,
    "torchvision": _as_torchvision,
}


def read_weights(path: Union[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of a weights file, under the file's names, and our metadata.

    The arrays may be read-only. See :func:`~paddle_resnet.weights.readers.open_weights` for the
    formats.

    Raises:
        WeightsError: the file is missing, corrupt, unsafe or no weights file.
    """
    contents = open_weights(path)
    return contents.arrays, contents.metadata


def load_weights(
    network: nn.Layer,
    source: Union[str, Path],
    *,
    strict: bool = True,
    new_head: bool = False,
    adapt_input: bool = False,
    entry: Optional[str] = None,
    prefix: Optional[str] = None,
    origin: Optional[str] = None,
) -> LoadReport:
    """Load a weights file of any framework into a network; print the result to see what matched.

    Reads safetensors, Paddle's ``.pdparams`` and torch's ``.pt``/``.pth``/``.th`` (torch need not
    be installed; no code in the file is run), finds the state dict in a checkpoint, and translates
    names, layouts and types, see :mod:`paddle_resnet.weights.key_names`.

    Args:
        network: any ``paddle.nn.Layer``.
        source: the file; its extension does not matter.
        strict: whether every array of the network must be in the file, in its shape, and the other
            way round. False loads what matches; the report says what did not. Default: True.
        new_head: keep the backbone and leave the network's head as it is where the file's has
            another number of classes, or is missing. Default: False.
        adapt_input: fit the first convolution to another number of input channels, see
            :func:`~paddle_resnet.layers.stems.adapt_first_conv`. Default: False.
        entry: which state dict of a checkpoint that holds several, such as ``model_ema``.
            Default: the plain one.
        prefix: what the names of the network's arrays begin with in a file that holds more, such as
            ``encoder_q.``; all others are left out. Default: usual ones are known, and one that all
            names share is found.
        origin: ``torch`` or ``paddle``: whose linear layers the file holds, where it is
            transposed in the one and not in the other. Default: decided by the file.

    Returns:
        LoadReport: what matched, what was skipped and why, what is missing.

    Raises:
        WeightsError: the file is corrupt or unsafe, or made for another network; the sentence
            names the first differences. The network is left as it was.
    """
    if origin not in (None, "torch", "paddle"):
        raise WeightsError(
            f"unknown origin {for_display(repr(origin))}, expected 'torch' or 'paddle'."
        )
    values, report = match(
        network,
        open_weights(source, entry),
        str(source),
        strict=strict,
        new_head=new_head,
        adapt_input=adapt_input,
        prefix=prefix,
        origin=origin,
    )
    assign(network, values)
    return report


def assign_weights(network: nn.Layer, arrays: dict[str, np.ndarray], source: str) -> None:
    """Copy arrays into a network, all of them or none, under its own names only.

    Raises:
        WeightsError: names or shapes differ; ``source`` says in the sentence whose they are.
    """
    check_weights(network, arrays, source)
    for name, tensor in network.state_dict().items():
        array = arrays[name]
        # Set_value refuses other dtypes; float16 is a way of storing, see save_weights.
        tensor.set_value(array.astype(np.float32) if array.dtype == np.float16 else array)


def check_weights(network: nn.Layer, arrays: dict[str, np.ndarray], source: str) -> None:
    """Raise the error of `assign_weights` where names or shapes differ, and copy nothing."""
    own = network.state_dict()
    problems = [f"'{name}' is missing" for name in own if name not in arrays]
    problems += [f"'{name}' {unknown(name, own)}" for name in arrays if name not in own]
    problems += [
        f"'{name}' has shape {list(arrays[name].shape)}, expected {list(own[name].shape)}"
        for name in own
        if name in arrays and list(arrays[name].shape) != list(own[name].shape)
    ]
    if problems:
        raise made_for_another(source, problems)
