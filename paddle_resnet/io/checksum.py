"""A checksum over arrays and a text, for files that must be as they were written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np


def checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    """Return the SHA-256 of names, types, shapes and contents, in hexadecimal digits."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = arrays[name]
        facts = f"{name} {array.dtype.str} {list(array.shape)} "
        digest.update(facts.encode("utf-8", "surrogatepass"))
        digest.update(array.tobytes())
    return digest.hexdigest()
