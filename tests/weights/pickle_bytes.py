"""Pickles and torch files put together by hand, byte by byte: sound ones and lying ones."""

import io
import pickle
import struct
import zipfile

PROTO, STOP = b"\x80\x02", b"."
#: Four float32 numbers.
FOUR = struct.pack("<4f", 1, 2, 3, 4)
FOUR_COUNTED = struct.pack("<q", 4) + FOUR


def value(thing):
    """The opcodes that push plain data."""
    return pickle.dumps(thing, 2)[2:-1]


def text(string):
    """The one opcode that pushes text, and no memo of it."""
    data = string.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def name(module, attribute):
    """GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module, attribute):
    """STACK_GLOBAL of protocol 4, which follows the dots of an attribute."""
    return b"\x80\x04" + value(module) + value(attribute) + b"\x93"


def call(function, *arguments):
    """REDUCE; the arguments are opcodes."""
    return function + b"(" + b"".join(arguments) + b"tR"


def state(**entries):
    """A dict of names to opcodes."""
    return b"}(" + b"".join(value(k) + v for k, v in entries.items()) + b"u"


def whole(opcodes):
    return PROTO + opcodes + STOP


def array(shape=(2, 2), code="f4", data=FOUR, core="numpy.core"):
    """A NumPy array, as NumPy pickles it."""
    dtype = call(name("numpy", "dtype"), value(code), value(False), value(True))
    objects = code[0] == "O"
    dtype += value((3, "|" if objects else "<", None, None, None, -1, -1, 63 * objects)) + b"b"
    start = call(
        name(f"{core}.multiarray", "_reconstruct"), name("numpy", "ndarray"), value((0,)), b"C\x01b"
    )
    content = data if callable(data) else lambda: b"B" + struct.pack("<I", len(data)) + data
    return start + b"(" + value(1) + value(shape) + dtype + value(False) + content() + b"tb"


def storage(kind="FloatStorage", key="0", count=4, view=b"", module="torch"):
    """torch's reference to the numbers beside the pickle."""
    identity = value("storage") + name(module, kind) + value(key) + value("cpu") + value(count)
    return b"(" + identity + view + b"tQ"


def tensor(where=None, offset=0, size=(2, 2), stride=(2, 1), rest=b""):
    hooks = call(name("collections", "OrderedDict"))
    where = storage() if where is None else where
    parts = (where, value(offset), value(size), value(stride), value(False), hooks, rest)
    return call(name("torch._utils", "_rebuild_tensor_v2"), *parts)


def torch_zip(opcodes=None, members=(("data/0", FOUR),), compression=zipfile.ZIP_STORED, extra=()):
    """A file of torch.save, zip format."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(
            "archive/data.pkl", whole(state(w=tensor()) if opcodes is None else opcodes)
        )
        for member, data in members:
            archive.writestr(f"archive/{member}", data)
        for member, data in extra:
            archive.writestr(member, data)
    return buffer.getvalue()


def torch_legacy(opcodes=None, keys=("0",), storages=FOUR_COUNTED):
    """A file of torch.save, as it was before torch 1.6."""
    start = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    head = b"".join(pickle.dumps(thing, 2) for thing in start)
    body = whole(state(w=tensor()) if opcodes is None else opcodes)
    return head + body + pickle.dumps(list(keys), 2) + storages


def safetensors(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data
