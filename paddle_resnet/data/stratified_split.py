"""Hold out some of the training set for validation, the same images on every machine."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, for_display


def train_validation_split(
    labels: np.ndarray, validation: int = 5000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Split a training set so that each class keeps its share in both splits.

    The choice depends on the labels and the seed alone. It is made by sorting raw 64-bit words of
    a PCG64 generator, which numpy guarantees to stay the same in every version (unlike
    ``Generator.permutation`` and ``Generator.shuffle``).

    Args:
        labels: Class of each sample, integers [N].
        validation: How many samples to set aside. Where the classes cannot share it evenly, those
            with the largest remainder, and the lower class among equals, give one more.
        seed: Another seed holds out others. Not negative.

    Returns:
        Indices of the training and of the validation samples, int64, each in ascending order.

    Raises:
        DataError: ``labels`` is not a list of integers, ``validation`` is not between 1 and N - 1,
            or ``seed`` is negative.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"Labels must be a list of integers, but are {labels.dtype} {list(labels.shape)}."
        )
    total = len(labels)
    if isinstance(validation, bool) or not isinstance(validation, (int, np.integer)):
        raise DataError(
            "The size of the validation split must be an integer, not "
            f"{for_display(repr(validation))}."
        )
    if not 0 < validation < total:
        raise DataError(
            f"{validation} samples cannot be set aside for validation: of {total} samples, "
            f"between 1 and {max(total - 1, 1)} can."
        )
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise DataError(f"The seed must be an integer of 0 or more, not {for_display(repr(seed))}.")

    keys = np.random.PCG64(seed).random_raw(total)
    classes, counts = np.unique(labels, return_counts=True)
    # In integers: a float such as 4999.9999 could be rounded differently on another machine.
    shares, remainders = np.divmod(counts.astype(np.int64) * int(validation), total)
    by_remainder = np.argsort(-remainders, kind="stable")
    shares[by_remainder[: validation - shares.sum()]] += 1

    chosen = np.zeros(total, bool)
    for label, share in zip(classes, shares):
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(keys[members], kind="stable")[:share]]] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)
