"""Open a weights file of any format, which its content decides."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from safetensors import SafetensorError, deserialize

from ..errors import WeightsError
from ..io.checksum import checksum
from ..io.pickled_arrays import Array, array_names, checked_shape
from ..io.safe_pickle import PickleError, read
from .state_dict_file import StateDictFile, printable, widen_bfloat16, widened
from .state_dict_search import ChooseEntry, contents_of
from .torch_reader import LEGACY_MAGIC, read_torch_legacy, read_torch_zip

#: The entry of a safetensors file's metadata that holds our own, as JSON.
METADATA_KEY = "paddle_resnet"
#: Entry of this metadata: the checksum of the arrays and the other metadata.
CHECKSUM_KEY = "sha256"
#: Eight times the largest network here with its optimizer state; more is no weights file of ours.
MAX_BYTES = 4 * 2**30

#: First bytes of other files that are mistaken for weights, and advice.
_NOT_WEIGHTS = (
    (b"<", "it is a web page: the download went wrong"),
    (b"version https://git-lfs", "it is a Git LFS pointer: fetch the file itself (git lfs pull)"),
    (b"\x89HDF", "it is an HDF5 file (Keras), which has other layers than these networks"),
    (b"\x93NUMPY", "it is a single NumPy array"),
    (b"\x1f\x8b", "it is compressed with gzip: unpack it first"),
)
_DTYPES = {
    **{"F64": "f8", "F32": "f4", "F16": "f2", "BOOL": "?"},
    **{f"{kind}{8 * size}": f"{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}


def open_weights(
    path: Union[str, Path], entry: Optional[str] = None, *, digest: bool = False
) -> StateDictFile:
    """Read a weights file; the format is decided by its content, the extension is ignored.

    Knows safetensors (anybody's), Paddle's ``.pdparams`` (2.x and 3.x), and torch's ``.pt``,
    ``.pth``, ``.th`` in the zip and the legacy format, all without torch. Pickles are read as data
    (see :mod:`paddle_resnet.io.safe_pickle`): whatever a file asks for, nothing of it is run.

    Args:
        path: the file.
        entry: which state dict of a checkpoint that holds several, such as ``model_ema``.
            Default: the plain one.
        digest: whether to compute the file's SHA-256. Default: False.

    Raises:
        WeightsError: there is no such file, or it is corrupt, unsafe or of another kind; the
            sentence says which.
    """
    data = _bytes_of(path)
    try:
        contents = _contents(data, entry)
        if not contents.arrays:
            for name, why in contents.ignored.items():
                raise PickleError(f"it holds no arrays ('{name}' is {why})")
            raise PickleError("it holds no arrays")
        if not all(map(printable, contents.arrays)):
            raise PickleError("an array in it has a name that cannot be printed")
        if digest:
            contents.sha256 = hashlib.sha256(data).hexdigest()
        return contents
    except PickleError as error:
        more = ""
        if "it asks for" in str(error):
            more = " Nothing of it was run."
        elif " an object of " in str(error):
            more = " Nothing of it was run. (A network? Save its state_dict().)"
        raise WeightsError(f"'{path}' cannot be read: {error}.{more}", *_remedy(error)) from None


def _remedy(error: PickleError) -> tuple[str, list[str]]:
    return ("entry", error.entries) if isinstance(error, ChooseEntry) else ("", [])


def read_state(path: Union[str, Path]) -> dict[str, Any]:
    """Read a dictionary of arrays and plain values that Paddle pickled, such as ``.pdopt``.

    Raises:
        WeightsError: there is no such file, or it is corrupt, unsafe or of another kind.
    """
    data = _bytes_of(path)
    try:
        state = read(io.BytesIO(data), array_names())
        if type(state) is not dict:
            raise PickleError("it holds no dictionary")
        return {
            name: value.to_numpy() if isinstance(value, Array) else value
            for name, value in state.items()
        }
    except PickleError as error:
        raise WeightsError(f"'{path}' cannot be read: {error}.") from None


def _bytes_of(path: Union[str, Path]) -> bytes:
    try:
        facts = Path(path).stat()
        # Reading a pipe could block for ever.
        if not stat.S_ISREG(facts.st_mode):
            what = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
            raise WeightsError(f"'{path}' is {what}, not a weights file.")
        if facts.st_size > MAX_BYTES:
            raise WeightsError(f"'{path}' is larger than {MAX_BYTES >> 30} GiB: no weights file.")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file '{path}'.") from None
    except (OSError, ValueError, MemoryError) as error:
        raise WeightsError(f"'{path}' cannot be read: {error}.") from None


def _contents(data: bytes, entry: Optional[str]) -> StateDictFile:
    if not data:
        raise PickleError("it is empty")
    if data.startswith(b"PK"):
        return read_torch_zip(data, entry)
    if len(data) > 8 and data[8:9] == b"{":
        return _read_safetensors(data)
    for beginning, sentence in _NOT_WEIGHTS:
        if data.startswith(beginning):
            raise PickleError(sentence)
    if data[257:262] == b"ustar":
        raise PickleError("it is a tar archive: unpack it, or save it again with a newer torch")
    # Protocol 2 and later begin with PROTO; before that, any of these opcodes.
    if data[0] in b"\x80(}]cid":
        return _read_pickle(data, entry)
    raise PickleError(
        "it is no weights file that we know: safetensors, Paddle's .pdparams, torch's .pt/.pth/.th"
    )


def _read_pickle(data: bytes, entry: Optional[str]) -> StateDictFile:
    unknown: set[str] = set()
    thing = read(io.BytesIO(data), array_names(), unknown=unknown)
    if type(thing) is int and thing == LEGACY_MAGIC:
        return read_torch_legacy(data, entry)
    return contents_of(thing, "paddle", entry, unknown)


def _is_as_written(contents: StateDictFile) -> bool:
    written = contents.metadata.pop(CHECKSUM_KEY, None)
    try:
        return not written or written == checksum(contents.arrays, json.dumps(contents.metadata))
    except RecursionError:  # could be read, but not be written again
        return False


def _read_safetensors(data: bytes) -> StateDictFile:
    try:
        tensors = deserialize(data)
        (length,) = struct.unpack_from("<Q", data)
        texts = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
        metadata = json.loads(texts.get(METADATA_KEY, "{}"))
    except (SafetensorError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error)[:200].splitlines() or [""]
        raise PickleError(f"it is no valid safetensors file ({reason[0]})") from None
    contents = StateDictFile("safetensors", {}, metadata if isinstance(metadata, dict) else {})
    if METADATA_KEY in texts:
        contents.origin = "paddle"
    elif texts.get("format") in ("pt", "pd"):
        contents.origin = {"pt": "torch", "pd": "paddle"}[texts["format"]]
    bfloat16 = 0
    for name, view in tensors:
        kind, shape = view["dtype"], checked_shape(view["shape"])
        if kind == "BF16":
            bfloat16 += 1
            bits = np.frombuffer(view["data"], "<u2")
            contents.arrays[name] = widen_bfloat16(bits).reshape(shape)
        elif kind in _DTYPES:
            array = np.frombuffer(view["data"], f"<{_DTYPES[kind]}")
            contents.arrays[name] = array.reshape(shape)
        elif printable(name):
            contents.ignored[name] = f"of type {kind}, which NumPy cannot hold"
    if not _is_as_written(contents):
        raise PickleError("its checksum is wrong: it has changed since it was written")
    if bfloat16:
        contents.notes.append(widened(bfloat16))
    return contents
