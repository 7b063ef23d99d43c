"""Read what ``torch.save`` wrote, without torch: its zip format and the one before it.

Both are a pickle whose tensors are (storage, offset, size, stride), with the storages beside it:
as members of the zip, or as raw bytes behind the pickle. See ``torch/serialization.py``.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from typing import Any, Callable, Optional, Union

import numpy as np

from ..io.pickled_arrays import array_names, checked_shape, checked_sizes
from ..io.safe_pickle import Foreign, Name, PickleError, Stub, read
from .state_dict_file import StateDictFile, TensorStub, widen_bfloat16
from .state_dict_search import contents_of

#: What the first pickle of the legacy format holds.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

_STORAGES = {
    "torch.FloatStorage": "f4",
    "torch.DoubleStorage": "f8",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "b1",
}
#: Named in checkpoints, never called.
_MENTIONED = (
    *("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter"),
    *(f"torch.{kind}" for kind in ("float32", "float64", "float16", "bfloat16", "int64", "int32")),
    *(f"torch.{kind}" for kind in ("int16", "int8", "uint8", "bool")),
)

_MAX_MEMBERS = 200_000


class _Storage(Stub):
    """A row of numbers of one type; the bytes may come after the tensors that use them."""

    def __init__(self, kind: str, count: int) -> None:
        self.kind = kind
        self.count = count
        self.flat: Optional[np.ndarray] = None

    @property
    def size(self) -> int:
        return self.count * (2 if self.kind == "bfloat16" else np.dtype(self.kind).itemsize)

    def fill(self, data: memoryview, order: str) -> None:
        if len(data) != self.size:
            raise PickleError(
                f"a storage in it says {self.count:,} x {self.kind} and has {len(data):,} bytes"
            )
        bits = np.frombuffer(data, order + ("u2" if self.kind == "bfloat16" else self.kind))
        # Widened once, here, for all the tensors that share the storage.
        self.flat = widen_bfloat16(bits) if self.kind == "bfloat16" else bits


class _Tensor(TensorStub):
    """A view of a storage, not yet checked."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any) -> None:
        if not isinstance(storage, _Storage):
            of = f" that we know, but a {storage.name}" if isinstance(storage, Foreign) else ""
            raise PickleError(f"a tensor in it has no storage{of}")
        self.storage, self.offset, self.shape, self.strides = storage, offset, size, stride
        self.is_bfloat16 = storage.kind == "bfloat16"

    def to_numpy(self) -> np.ndarray:
        flat, shape = self.storage.flat, checked_shape(self.shape)
        strides = checked_sizes(self.strides)
        if flat is None:
            raise PickleError("a tensor in it has a storage without bytes")
        if type(self.offset) is not int or self.offset < 0 or len(strides) != len(shape):
            raise PickleError("a tensor in it has no valid offset or strides")
        count = math.prod(shape)
        last = self.offset + sum((n - 1) * step for n, step in zip(shape, strides))
        # A stride of 0 makes a terabyte out of one number; no weight is stored so.
        if count and (last >= len(flat) or count > len(flat)):
            raise PickleError(
                f"a tensor in it, {list(shape)} from {self.offset:,}, reaches out of its storage "
                f"of {len(flat):,}"
            )
        if not count:
            return np.zeros(shape, flat.dtype)
        return np.lib.stride_tricks.as_strided(
            flat[self.offset :], shape, [s * flat.itemsize for s in strides], writeable=False
        )


def _rebuild_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, *rest: Any
) -> _Tensor:  # rest: requires_grad, backward_hooks, metadata
    if len(rest) > 2 and rest[2]:
        raise PickleError("a tensor in it is marked as conjugated or negated")
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    if not isinstance(data, _Tensor):
        raise PickleError("a parameter in it is no tensor")
    return data


def _rebuild_from_type(function: Any, _type: Any, arguments: Any, _state: Any) -> Any:
    if type(function) is not Name or function.build is None or type(arguments) is not tuple:
        raise PickleError("a tensor in it is made in an unknown way")
    return function.build(*arguments)


def _torch_names() -> dict[str, Optional[Callable[..., Any]]]:
    names = array_names()
    names.update(dict.fromkeys((*_STORAGES, *_MENTIONED)))
    names["torch._utils._rebuild_tensor"] = _rebuild_tensor
    names["torch._utils._rebuild_tensor_v2"] = _rebuild_tensor
    names["torch._utils._rebuild_parameter"] = _rebuild_parameter
    names["torch._utils._rebuild_parameter_with_state"] = _rebuild_parameter
    names["torch._tensor._rebuild_from_type_v2"] = _rebuild_from_type
    names["torch.Size"] = names["builtins.tuple"]
    names["torch.device"] = lambda *_: Stub()
    return names


class _Storages:
    """The storages that a pickle refers to, by their keys."""

    def __init__(self) -> None:
        self.by_key: dict[str, _Storage] = {}

    def find(self, identity: Any) -> Union[Stub, Name]:
        """Return the storage of ``("storage", type, key, device, count[, view])``."""
        if type(identity) is tuple and len(identity) == 4 and type(identity[1]) is Name:
            return identity[1]  # ("module", class, file, source), of whole networks before 1.6
        if type(identity) is not tuple or len(identity) not in (5, 6):
            raise PickleError("it refers to something other than a storage")
        tag, kind, key, _, count = identity[:5]
        if _text(tag) != "storage" or type(kind) is not Name:
            raise PickleError("it refers to something other than a storage")
        if kind.name not in _STORAGES:  # of complex or quantized numbers: in no network of ours
            return Foreign(kind.name)
        if type(count) is not int or count < 0 or (len(identity) == 6 and identity[5] is not None):
            raise PickleError("it refers to a storage of no valid size")
        storage = self.by_key.setdefault(_text(key), _Storage(_STORAGES[kind.name], count))
        if (storage.kind, storage.count) != (_STORAGES[kind.name], count):
            raise PickleError("it refers to one storage as two different ones")
        return storage


def _text(key: Any) -> str:
    key = key.decode("latin-1") if type(key) is bytes else key
    if type(key) is not str:
        raise PickleError("a storage in it has no name")
    return key


def read_torch_zip(data: bytes, entry: Optional[str] = None) -> StateDictFile:
    """Read the zip format, torch 1.6 and later.

    Raises:
        PickleError: it is corrupt, unsafe or holds no state dict.
    """
    members = _members(data)
    pickles = [name for name in members if name.split("/", 1)[-1] == "data.pkl"]
    if len(pickles) != 1:
        if any(name.endswith(".npy") for name in members):
            raise PickleError("it is a NumPy archive (.npz), not weights of a network")
        raise PickleError("it is a zip archive, but not one that torch.save wrote")
    root = pickles[0][: -len("data.pkl")]
    if f"{root}constants.pkl" in members:
        raise PickleError("it is a TorchScript program; save the module's state_dict() instead")
    storages = _Storages()
    unknown: set[str] = set()
    thing = read(io.BytesIO(members[pickles[0]]), _torch_names(), storages.find, unknown)
    order = ">" if bytes(members.get(f"{root}byteorder", b"")) == b"big" else "<"
    for key, storage in storages.by_key.items():
        name = f"{root}data/{key}"
        if name not in members:
            raise PickleError("a storage that it refers to is missing")
        storage.fill(members[name], order)
    return contents_of(thing, "torch", entry, unknown)


def read_torch_legacy(data: bytes, entry: Optional[str] = None) -> StateDictFile:
    """Read the format before torch 1.6: five pickles, then the storages one after the other.

    Raises:
        PickleError: it is corrupt, unsafe or holds no state dict.
    """
    file, storages = io.BytesIO(data), _Storages()
    if read(file, {}) != LEGACY_MAGIC or read(file, {}) != _LEGACY_VERSION:
        raise PickleError("it is no file of torch.save")
    system = read(file, {})
    if type(system) is not dict:
        raise PickleError("it does not say what machine wrote it")
    little = system.get("little_endian", system.get(b"little_endian", True))
    unknown: set[str] = set()
    thing = read(file, _torch_names(), storages.find, unknown)
    keys = read(file, {})
    view = memoryview(data)
    for key in keys if type(keys) is list else ():
        storage = storages.by_key.get(_text(key))
        start = file.tell() + 8  # the count, as int64
        if storage is None or start > len(data):
            raise PickleError("its storages are not those that it refers to")
        (count,) = struct.unpack("<q" if little is not False else ">q", file.read(8))
        if count != storage.count:
            raise PickleError(f"a storage in it says {storage.count:,} numbers, then {count:,}")
        storage.fill(view[start : start + storage.size], "<" if little is not False else ">")
        file.seek(start + storage.size)
    return contents_of(thing, "torch", entry, unknown)


def _members(data: bytes) -> dict[str, memoryview]:
    """Return the members of a zip as views of its bytes; refuse what torch never writes.

    Stored members only, none overlapping another: what they hold then is never more than the file.
    """
    # `zipfile` makes an object of each directory entry: count them first.
    if data.count(b"PK\1\2") > _MAX_MEMBERS:
        raise PickleError("its zip archive has more members than any checkpoint")
    try:
        infos = zipfile.ZipFile(io.BytesIO(data)).infolist()
    # Corrupt bytes can raise nearly anything.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:80]!r}"
        raise PickleError(f"its zip archive is corrupt or cut off ({reason})") from None
    view, members, free = memoryview(data), {}, 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name, offset = info.filename, info.header_offset
        # A colon alone is valid: torch names the members after the file, perhaps `ckpt_12:30.pth`.
        if re.match(r"/|[A-Za-z]:", name) or "\\" in name or ".." in name.split("/"):
            raise PickleError("its zip archive has a member with a path that leaves the archive")
        if name in members:
            raise PickleError("its zip archive has two members of one name")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise PickleError("its zip archive is compressed or encrypted, torch.save's never is")
        header = data[offset : offset + 30]
        if offset < free or len(header) < 30 or header[:4] != b"PK\3\4":
            raise PickleError("its zip archive is corrupt (members out of place)")
        start = offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        free = start + info.file_size
        if info.compress_size != info.file_size or free > len(data):
            raise PickleError("its zip archive lies about the size of a member, or is cut off")
        members[name] = view[start:free]
        if zlib.crc32(members[name]) != info.CRC:
            raise PickleError("its zip archive is corrupt (a checksum differs)")
    return members
