"""Why a network or a loss cannot take a batch, in one sentence.

Asked only after Paddle has raised: Paddle's own words name kernels and dimensions, not images and
labels. A batch that works costs nothing, and none that works is refused.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle import nn

from ...errors import DataError, for_display

_CONVOLUTIONS = (nn.Conv1D, nn.Conv2D, nn.Conv3D)
_BINARY = (nn.BCELoss, nn.BCEWithLogitsLoss)


def to_tensor(value: Any) -> paddle.Tensor:
    """Return an array of a batch as a tensor.

    Raises:
        DataError: it is none, such as text or an image of Pillow.
    """
    if isinstance(value, paddle.Tensor):
        return value
    try:
        return paddle.to_tensor(value)
    except Exception as error:
        kind = type(value)
        what = getattr(value, "dtype", None) or f"{kind.__module__}.{kind.__name__}"
        raise DataError(
            f"a batch holds {what} ({for_display(value, 40)}): expected arrays of numbers or "
            "tensors."
        ) from error


def explain(
    network: nn.Layer,
    loss: Optional[Callable[..., Any]],
    inputs: list,
    labels: list,
    outputs: Optional[list],
    error: Exception,
) -> str:
    """Return what is wrong with a batch that made Paddle raise; empty where that is unknown.

    Args:
        network, loss: as in ``prepare``.
        inputs, labels: the batch's tensors.
        outputs: of the network; None where it raised.
        error: what was raised.
    """
    if outputs is None:
        return _about_images(network, inputs)
    if not labels and (loss is None or isinstance(error, TypeError)):
        return "the batch has no labels: expected (images, labels)"
    return _about_count(loss, outputs, labels) or _about_labels(loss, labels, outputs)


def _about_images(network: nn.Layer, inputs: list) -> str:
    images = inputs[0]
    shape = f"{_dtype(images)} {list(images.shape)}"
    name, layer = next(
        (
            (name, layer)
            for name, layer in network.named_sublayers(include_self=True)
            if getattr(getattr(layer, "weight", None), "ndim", 0) > 1
        ),
        ("", None),
    )
    if not isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
        return ""
    if isinstance(layer, _CONVOLUTIONS):
        last = str(getattr(layer, "_data_format", "NCHW")).endswith("C")
        if images.ndim != layer.weight.ndim:
            sides = ["D", "H", "W"][5 - layer.weight.ndim :]
            axes = ", ".join(["N", *sides, "C"] if last else ["N", "C", *sides])
            return f"the images are {shape}, expected [{axes}]: a batch of images"
        channels = layer.weight.shape[1] * getattr(layer, "_groups", 1)
        ends = images.shape[1], images.shape[-1]
        other, given = ends if last else ends[::-1]
        if given != channels and other == channels:
            order = "[0, 2, 3, 1]" if last else "[0, 3, 1, 2]"
            place = "last" if last else "first"
            return (
                f"the images are {shape}, and the network takes {channels} channels {place}: "
                f"transpose them by {order}"
            )
        if given != channels:
            return (
                f"the images are {shape}, with {_count(given, 'channel')}, and the network's first "
                f"convolution '{name}' takes {channels}"
            )
    wanted = _dtype(layer.weight)
    if _dtype(images) != wanted:
        how = f"images.astype('{wanted}')"
        if "int" in _dtype(images):
            how += " / 255, and normalized as the network was trained"
        return f"the images are {shape}, and the network computes in {wanted}: convert them, {how}"
    return ""


def _about_count(loss: Optional[Callable[..., Any]], outputs: list, labels: list) -> str:
    """Return what is wrong with the number of parts of a batch."""
    if loss is None:
        return ""
    call = loss.forward if isinstance(loss, nn.Layer) else loss
    try:
        signature = inspect.signature(call)
        signature.bind(*outputs, *labels)
    except TypeError:
        name = type(loss).__name__ if isinstance(loss, nn.Layer) else _name(loss)
        taken = [p for p in signature.parameters.values() if p.default is p.empty]
        return (
            f"the loss {name} is called with {_count(len(outputs), 'output')} and "
            f"{_count(len(labels), 'label')}, and takes {len(taken)} arguments: of a batch, "
            "what comes after the images is its labels"
        )
    except ValueError:  # no signature, as of a function in C
        pass
    return ""


def _about_labels(loss: Optional[Callable[..., Any]], labels: list, outputs: list) -> str:
    if not labels or not isinstance(outputs[0], paddle.Tensor) or outputs[0].ndim != 2:
        return ""
    label, logits = labels[0], outputs[0]
    kind, shape = _dtype(label), list(label.shape)
    rows, classes = logits.shape
    if not shape or shape[0] != rows:
        return f"the batch has {_count(rows, 'image')} and labels of shape {shape}"
    if isinstance(loss, _BINARY):
        wanted = list(logits.shape)
        if shape != wanted:
            return (
                f"the labels have shape {shape}, and {type(loss).__name__} takes that of the "
                f"outputs, {wanted}: labels.reshape({[-1, *wanted[1:]]})"
            )
        if kind != _dtype(logits):
            return (
                f"the labels are {kind}, and {type(loss).__name__} takes {_dtype(logits)}: "
                f"labels.astype('{_dtype(logits)}')"
            )
        return ""
    if getattr(loss, "soft_label", False):
        return ""
    if shape not in ([rows], [rows, 1]):
        if shape == [rows, classes]:
            return (
                f"the labels are {kind} {shape}, one row a class each: give class numbers, "
                "labels.argmax(1), or CrossEntropyLoss(soft_label=True) and float32 labels"
            )
        return f"the labels are {kind} {shape}, expected int64 [{rows}]: a class number each"
    numbers = label.numpy()
    low, high = float(numbers.min()), float(numbers.max())
    ignored = getattr(loss, "ignore_index", -100)
    counted = numbers[numbers != ignored]
    if counted.size and (counted.min() < 0 or counted.max() >= classes):
        advice = ""
        if classes == 1:
            advice = "; of one output, BCEWithLogitsLoss with float32 labels [N, 1] is the loss"
        elif low == 1 and high == classes:
            advice = "; classes count from 0: subtract 1"
        elif low < 0:
            advice = f"; CrossEntropyLoss(ignore_index={int(low)}) leaves such images out"
        return (
            f"the labels run from {low:g} to {high:g}, and the network's "
            f"{_count(classes, 'output')} stand for classes 0 to {classes - 1}{advice}"
        )
    if kind not in ("int64", "int32"):
        whole = np.equal(np.mod(numbers.astype(np.float64), 1), 0).all()
        more = "labels.astype('int64')" if whole else "class numbers, not shares"
        return f"the labels are {kind}, expected int64: {more}"
    return ""


def _dtype(tensor: paddle.Tensor) -> str:
    return str(tensor.dtype).rpartition(".")[2]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
