"""Read CIFAR's pickled batches as data: nothing that a pickle may ask for is run."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ...errors import DataError, for_display
from ...io.pickled_arrays import Array, array_names
from ...io.safe_pickle import PickleError, read


def read_batch(
    content: bytes, classes: int = 10, labels: str = "labels"
) -> tuple[np.ndarray, np.ndarray]:
    """Decode one official batch, such as CIFAR-10's ``data_batch_1``, from its bytes.

    Args:
        content: A pickled dict with ``data`` (uint8 [N, 3072]) and labels (N ints from 0).
        classes: Labels are below this. Default: 10.
        labels: The labels' key; in CIFAR-100 ``fine_labels``. Default: ``labels``.

    Returns:
        Images, uint8 [N, 3, 32, 32], and labels, uint8 [N].

    Raises:
        DataError: The bytes are truncated, not a batch, or name anything but a uint8 array.
    """
    batch = read_dict(content)
    data, numbers = _entry(batch, "data"), _entry(batch, labels)
    # `type`, not isinstance: True is no label.
    if type(numbers) is not list or not all(
        type(number) is int and 0 <= number < classes for number in numbers
    ):
        raise DataError(f"it is not a whole CIFAR batch: '{labels}' is no list of labels.")
    try:
        pixels = data.to_numpy() if isinstance(data, Array) else None
    except PickleError as error:
        raise DataError(f"it is not a whole CIFAR batch: {for_display(error, 200)}.") from None
    if pixels is None or pixels.dtype != np.uint8 or pixels.shape != (len(numbers), 3072):
        raise DataError(
            f"it is not a whole CIFAR batch: 'data' is not uint8 [{len(numbers)}, 3072]."
        )
    images = np.ascontiguousarray(pixels).reshape(-1, 3, 32, 32)
    return images, np.array(numbers, np.uint8)


def read_names(content: bytes, key: str) -> list[str]:
    """Decode a list of names, such as ``fine_label_names`` of CIFAR-100's ``meta``.

    Raises:
        DataError: The bytes hold no such list.
    """
    names = _entry(read_dict(content), key)
    if type(names) is not list or not all(type(name) in (str, bytes) for name in names):
        raise DataError(f"'{key}' is no list of names.")
    return [name if type(name) is str else name.decode("ascii", "replace") for name in names]


def read_dict(content: bytes) -> dict[Any, Any]:
    """Decode a pickled dict of arrays, numbers, texts and lists, unverified.

    Raises:
        DataError: The bytes are truncated, no dict, or ask for more than data.
    """
    try:
        batch = read(io.BytesIO(content), array_names())
    except PickleError as error:
        run = "; nothing was run. Do not trust this file" if "asks for" in str(error) else ""
        raise DataError(f"it is not a whole CIFAR batch: {for_display(error, 200)}{run}.") from None
    if type(batch) is not dict:
        raise DataError("it is not a whole CIFAR batch: it holds no dictionary.")
    return batch


def _entry(batch: dict[Any, Any], name: str) -> Any:
    # Keys are bytes in the official Python 2 pickles, text in those that Python 3 rewrote.
    for key in (name.encode(), name):
        if key in batch:
            return batch[key]
    raise DataError(f"it is not a whole CIFAR batch: it has no '{name}'.")
