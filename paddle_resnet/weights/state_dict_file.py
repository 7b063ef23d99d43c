"""Content of a weights file: named arrays, their origin and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from ..io.safe_pickle import Stub

#: A table that `paddle.save` adds to every state dict; it holds no weights.
PADDLE_TABLE = "StructuredToParameterName@@"
#: Of an array; a longer one may not be shown.
LONGEST_NAME = 300


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
    #: ``paddle`` or ``torch``, or None where the file's format does not decide it.
    origin: Optional[str] = None
    #: Entries that are no arrays, and why they were left out.
    ignored: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    #: SHA-256 of the file, where it was asked for.
    sha256: str = ""


class TensorStub(Stub):
    """Base of the stubs that :mod:`.torch_reader` builds for tensors."""

    is_bfloat16 = False

    def to_numpy(self) -> np.ndarray:
        """Return a view of the file's bytes, or raise `PickleError` if its description is wrong."""
        raise NotImplementedError


def printable(name: Any) -> bool:
    """Return whether a name is printable, without control characters."""
    return isinstance(name, str) and name.isprintable() and len(name) <= LONGEST_NAME


def widen_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 numbers given as uint16: the upper half of the bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def widened(count: int) -> str:
    """Return the note about arrays of a type that NumPy lacks and that float32 holds exactly."""
    return f"{count} arrays are bfloat16 in the file, read as float32 (exact)"
