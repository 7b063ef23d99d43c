"""Read CIFAR-10's pickled batches without running anything that a pickle may ask for."""

from __future__ import annotations

import io
import pickle

import numpy as np

from paddle_resnet.errors import DataError


class _Dtype:
    """Stands in for ``numpy.dtype``: remembers the name, ignores the rest."""

    def __init__(self, name: object, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Stands in for ``numpy.ndarray``: remembers what a real one would be built from."""

    def __init__(self, *_: object) -> None:
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        _, shape, dtype, fortran_order, raw = self.state
        if dtype.name not in (b"u1", "u1"):
            raise ValueError(f"dtype {dtype.name!r}")
        return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran_order else "C")


# All that a pickled uint8 array names, mapped to stand-ins: not even numpy's own code runs before
# the result has been looked at. numpy 2 moved `numpy.core` to `numpy._core`. Classes only, since
# a pickle may set attributes of what it gets, and these two turn that down.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise DataError(
                f"it asks to run {module}.{name}, which no CIFAR-10 batch needs; "
                "nothing was run. Do not trust this file."
            ) from None


def read_batch(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Decode one official batch, such as ``data_batch_1``, from its bytes.

    Args:
        content: A pickled dict with ``data`` (uint8 [N, 3072]) and ``labels`` (N ints, 0 to 9).

    Returns:
        Images, uint8 [N, 3, 32, 32], and labels, uint8 [N].

    Raises:
        DataError: The bytes are truncated, not a batch, or name anything but a uint8 array.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        # Keys are bytes in the official Python 2 pickles, text in those that Python 3 rewrote.
        data, labels = (
            batch[name.encode()] if name.encode() in batch else batch[name]
            for name in ("data", "labels")
        )
        images = data.to_numpy().reshape(len(labels), 3, 32, 32)
        if not all(type(label) is int and 0 <= label <= 9 for label in labels):
            raise ValueError("labels")
        return images, np.array(labels, np.uint8)
    except DataError:
        raise
    # A damaged pickle can raise nearly anything, from EOFError to MemoryError.
    except Exception as error:
        raise DataError(
            f"it is not a whole CIFAR-10 batch ({type(error).__name__}: {error})."
        ) from error
