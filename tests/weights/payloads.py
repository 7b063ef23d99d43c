"""Malicious weights files, and what the loader says to each.

    python tests/weights/payloads.py          prints the table: file, what it tried, the answer

Every file is opened in one process with little memory and time. What a payload would run creates
the file named by ``canary``; `FIRES` payloads do so when Python's own unpickler reads them.
"""

import argparse
import io
import json
import os
import pickle
import resource
import signal
import struct
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from pickle_bytes import (
    FOUR,
    array,
    call,
    name,
    safetensors,
    stack_name,
    state,
    storage,
    tensor,
    text,
    torch_legacy,
    torch_zip,
    value,
    whole,
)

SECONDS = 20  # per file, on a busy machine
MEMORY = 2**30  # above what the process has when it starts


def code_payloads(canary):
    """{what it tries: opcodes that run a command}: the part that is the same in all formats."""
    touch = f"touch {canary}"
    python = f"open({canary!r}, 'w').close()"
    argv = ["touch", canary]
    system = name("os", "system")
    command = whole(call(system, value(touch)))
    os_module = call(name("importlib", "import_module"), value("os"))
    return {
        "REDUCE os.system": call(system, value(touch)),
        "REDUCE posix.system": call(name("posix", "system"), value(touch)),
        "REDUCE subprocess.Popen": call(name("subprocess", "Popen"), value(argv)),
        "REDUCE subprocess.check_output": call(name("subprocess", "check_output"), value(argv)),
        "REDUCE os.popen": call(name("os", "popen"), value(touch)),
        "REDUCE builtins.eval": call(name("builtins", "eval"), value(python)),
        "REDUCE builtins.exec": call(name("builtins", "exec"), value(python)),
        "REDUCE __builtin__.eval (Python 2)": call(name("__builtin__", "eval"), value(python)),
        "REDUCE builtins.open, to write a file": call(
            name("builtins", "open"), value(canary), value("w")
        ),
        "getattr chain from an imported os": call(
            call(name("builtins", "getattr"), os_module, value("system")), value(touch)
        ),
        "attrgetter on an imported os": call(
            call(call(name("operator", "attrgetter"), value("system")), os_module), value(touch)
        ),
        "builtins.__import__, then getattr": call(
            call(
                name("builtins", "getattr"),
                call(name("builtins", "__import__"), value("os")),
                value("system"),
            ),
            value(touch),
        ),
        "functools.partial around os.system": call(
            call(name("functools", "partial"), system, value(touch))
        ),
        "map over os.system, made a list": call(
            name("builtins", "list"),
            call(name("builtins", "map"), system, value([touch])),
        ),
        "STACK_GLOBAL os system": call(stack_name("os", "system"), value(touch)),
        "STACK_GLOBAL with a dotted name through an allowed module: argparse _os.system": call(
            stack_name("argparse", "_os.system"), value(touch)
        ),
        "STACK_GLOBAL with a dotted name: collections _sys.modules": call(
            call(
                name("builtins", "getattr"),
                call(stack_name("collections", "_sys.modules.get"), value("os")),
                value("system"),
            ),
            value(touch),
        ),
        "INST os system": b"(" + value(touch) + b"ios\nsystem\n",
        "OBJ with subprocess.Popen": b"(" + name("subprocess", "Popen") + value(argv) + b"o",
        "NEWOBJ with a class of its own choice": name("subprocess", "Popen") + value(()) + b"\x81",
        "NEWOBJ_EX with a class of its own choice": (
            name("subprocess", "Popen") + value(()) + value({}) + b"\x92"
        ),
        "BUILD that plants __setstate__ = os.system, BUILD that calls it": (
            name("argparse", "Namespace") + value(()) + b"\x81"
            b"}" + value("__setstate__") + system + b"s" + b"b" + value(touch) + b"b"
        ),
        "BUILD on a class, to change it": name("argparse", "Namespace") + value({"a": 1}) + b"b",
        "EXT1: a name by number": b"\x82\x01",
        "PERSID in text": b"Pos.system\n",
        "NEXT_BUFFER: bytes from elsewhere": b"\x97",
        "pickle in a pickle: pickle.loads": call(name("pickle", "loads"), value(command)),
        "pickle in a pickle: _pickle.loads": call(name("_pickle", "loads"), value(command)),
        "torch.storage._load_from_bytes": call(
            name("torch.storage", "_load_from_bytes"), value(command)
        ),
        "torch.load": call(name("torch", "load"), value(canary)),
        "torch.hub.load, from the internet": call(
            name("torch.hub", "load"), value("a/b"), value("c")
        ),
        "torch.serialization hook": call(
            name("torch.serialization", "register_package"), value(0), system, system
        ),
        "torch._tensor._rebuild_from_type_v2 with os.system": call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            system,
            name("torch", "Tensor"),
            value((touch,)),
            value({}),
        ),
        "torch.jit.unsupported_tensor_ops.execWrapper": call(
            name("torch.jit.unsupported_tensor_ops", "execWrapper"), value(python), *[value({})] * 2
        ),
        "torch._dynamo.guards.GuardBuilder.get": call(
            name("torch._dynamo.guards", "GuardBuilder.get"), value(python)
        ),
        "numpy.testing runstring": call(
            name("numpy.testing._private.utils", "runstring"), value(python), value({})
        ),
        "numpy.load, pickles allowed": call(
            name("numpy", "load"), value(canary), value(None), value(True)
        ),
        "numpy.f2py.crackfortran.myeval": call(
            name("numpy.f2py.crackfortran", "myeval"), value(python)
        ),
        "object array whose element is a call": array(
            (1,), "O8", lambda: b"(" + call(system, value(touch)) + b"l"
        ),
        "paddle's eval of 'data' (its static tensors)": call(
            name("builtins", "eval"), value("data"), value({"data": 1})
        ),
        "paddle.load": call(name("paddle", "load"), value(canary)),
        "runpy.run_path": call(name("runpy", "run_path"), value(canary)),
        "timeit.timeit": call(
            name("timeit", "timeit"), value(python), value("0"), name("time", "time"), value(1)
        ),
        "cProfile.run": call(name("cProfile", "run"), value(python)),
        "ctypes.CDLL": call(name("ctypes", "CDLL"), value(canary)),
        "pty.spawn": call(name("pty", "spawn"), value(argv)),
        "webbrowser.open": call(name("webbrowser", "open"), value("file:///")),
        "code object through types.FunctionType": call(
            name("types", "FunctionType"), call(name("marshal", "loads"), value(b"")), value({})
        ),
        "call as a dict's key": b"}" + call(system, value(touch)) + value(1) + b"s",
        "call whose result is thrown away": call(system, value(touch)) + b"0" + state(w=array()),
        "call of what is not for calling: torch.FloatStorage": call(
            name("torch", "FloatStorage"), value(4)
        ),
        "call of a string": call(value("os.system"), value(touch)),
        "name that is a list of lists of lists ...": LAUGHS + value("system") + b"\x93",
        "module of a whole network": call(name("torchvision.models.resnet", "ResNet"), value(1)),
    }


#: What fires under `pickle.loads` with nothing but the standard library (and NumPy).
FIRES = (
    *("REDUCE os.system", "REDUCE posix.system", "REDUCE subprocess.Popen"),
    *("REDUCE subprocess.check_output", "REDUCE os.popen"),
    *("REDUCE builtins.eval", "REDUCE builtins.exec", "REDUCE __builtin__.eval (Python 2)"),
    *("REDUCE builtins.open, to write a file", "getattr chain from an imported os"),
    *("attrgetter on an imported os", "builtins.__import__, then getattr"),
    *("functools.partial around os.system", "map over os.system, made a list"),
    *("STACK_GLOBAL os system", "INST os system", "OBJ with subprocess.Popen"),
    "STACK_GLOBAL with a dotted name through an allowed module: argparse _os.system",
    "STACK_GLOBAL with a dotted name: collections _sys.modules",
    "BUILD that plants __setstate__ = os.system, BUILD that calls it",
    *("pickle in a pickle: pickle.loads", "pickle in a pickle: _pickle.loads"),
    *("object array whose element is a call", "timeit.timeit", "cProfile.run"),
    *("call as a dict's key", "call whose result is thrown away"),
)

#: A list of ten lists of ten lists ...: a few bytes that print as 10**100 characters.
LAUGHS = value("ha") + b"".join(
    b"q" + bytes([i]) + b"0](" + (b"h" + bytes([i])) * 10 + b"e" for i in range(100)
)


def beside_weights(opcodes):
    """{where: content}: sound weights, and what a payload asks for somewhere beside them."""
    sound = value("model") + state(w=tensor())
    return {
        "before the weights": torch_zip(b"}(" + value("a") + opcodes + sound + b"u"),
        "after the weights": torch_zip(b"}(" + sound + value("a") + opcodes + b"u"),
        "as a key": torch_zip(b"}(" + sound + opcodes + value(1) + b"u"),
        "in a list": torch_zip(b"}(" + sound + value("a") + b"](" + opcodes + b"eu"),
        "in the state dict": torch_zip(state(w=tensor(), a=opcodes)),
        "thrown away": torch_zip(opcodes + b"0" + state(w=tensor())),
        "in a pickle of arrays": whole(state(model=state(w=array()), a=opcodes)),
        "before torch 1.6": torch_legacy(b"}(" + sound + value("a") + opcodes + b"u"),
    }


def bombs():
    """{what it tries: content}: pickles that want memory or time rather than to run something."""
    deep = 50_000
    million = b"X" + struct.pack("<I", 2**20) + b"a" * 2**20
    pairs = b"](" + b"".join(value([f"k{i}", i]) for i in range(20_000)) + b"e"
    ordered = name("collections", "OrderedDict")
    return {
        "memo index of 4 billion (LONG_BINPUT)": whole(b"}" + b"r\xff\xff\xff\xff"),
        "lists nested 50,000 deep": whole(b"]" * deep + b"a" * (deep - 1)),
        "tuples nested 50,000 deep": whole(b")" + b"\x85" * deep),
        "dicts nested 50,000 deep": whole(b"}" + b"K\x01}" * deep + b"s" * deep),
        "marks nested 50,000 deep": whole(b"(" * deep),
        "list that doubles in sense 100 times, as an entry": whole(
            state(w=array()) + b"0" + LAUGHS
        ),
        "the same as the shape of an array": whole(state(w=array()).replace(value((2, 2)), LAUGHS)),
        "the same as a dict's key": whole(b"}" + LAUGHS + value(1) + b"s"),
        "bytes of 2**62 (BINBYTES8)": whole(b"\x8e" + struct.pack("<Q", 2**62)),
        "bytearray of 2**62 (BYTEARRAY8)": whole(b"\x96" + struct.pack("<Q", 2**62)),
        "text of 4 GB (BINUNICODE)": whole(b"X\xff\xff\xff\xff"),
        "number of 2 GB (LONG4)": whole(b"\x8b\xff\xff\xff\x7f"),
        "number of -1 bytes (LONG4)": whole(b"\x8b\xff\xff\xff\xff"),
        "number of a million digits in text": whole(b"I" + b"9" * 10**6 + b"\n"),
        "frame of 2**63": whole(b"\x95" + b"\xff" * 8 + b"}"),
        "a million steps and more": whole(b"N0" * 500_001),
        "one text of 1 MB, encoded 5,000 times": whole(
            b"("
            + million
            + b"q\x000"
            + call(name("_codecs", "encode"), b"h\x00", value("latin1"))
            + call(name("_codecs", "encode"), b"h\x00", value("latin1")) * 5_000
            + b"t"
        ),
        "one list of 20,000 pairs, made a dict 5,000 times": whole(
            b"(" + pairs + b"q\x000" + call(ordered, b"h\x00") * 5_000 + b"t"
        ),
        "integers chosen to collide in a dict": whole(
            b"}(" + b"".join(value(i * (2**61 - 1)) + b"N" for i in range(1, 20_000)) + b"u"
        ),
        "one dict of 200,000 numbers under 200,000 names": whole(
            b"}("
            + b"".join(text(f"k{i}") + b"N" for i in range(200_000))
            + b"uq\x000}("
            + b"".join(text(f"n{i}") + b"h\x00" for i in range(200_000))
            + b"u"
        ),
        "arrays whose content is an array whose content ...": whole(
            b"}" + text("w") + _nested_arrays(50_000) + b"s"
        ),
        "list that contains itself": whole(b"]q\x00h\x00a"),
        "dict that contains itself, as its state dict": whole(
            b"}q\x00" + value("state_dict") + b"h\x00s"
        ),
        "protocol 200": b"\x80\xc8}.",
        "no STOP": b"\x80\x02}",
        "empty stack": whole(b"0"),
        "dict from an odd number of items": whole(b"(K\x01d"),
        "empty dict": whole(b"}"),
        "a number": whole(value(1)),
        "dict of plain values": whole(value({"epoch": 1, "lr": [0.1]})),
    }


def _nested_arrays(depth):
    """An array whose data is an array, and so on."""
    start = name("numpy.core.multiarray", "_reconstruct") + b"q\x010"
    begin = b"h\x01)R(K\x01(K\x02tN\x89"
    return start + begin * depth + b"N" + b"tb" * depth


def bad_names():
    """{what it tries: content}: sound arrays under names made for a terminal."""
    escape = "\x1b[2J"
    f8 = f'{{"{escape}":{{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}}}'
    return {
        "name that clears the screen": whole(state(**{f"{escape}w": array()})),
        "state dict under a name that clears the screen": whole(
            b"}" + value(escape) + state(w=array()) + b"s"
        ),
        "choice of names that clear the screen": whole(
            b"}("
            + b"".join(value(n) + state(w=array()) for n in (f"{escape}1", f"{escape}2"))
            + b"u"
        ),
        "choice of 20,000 names": whole(
            state(w=array())
            + b"q\x000}("
            + b"".join(text(f"n{i}") + b"h\x00" for i in range(20_000))
            + b"u"
        ),
        "name half of a surrogate pair": whole(state(**{"\ud800w": array()})),
        "text that reads from right to left": torch_zip(state(**{"\u202etxt.w": tensor()})),
        "name that clears the screen, of an unknown type": safetensors(
            f8.replace("\x1b", "\\u001b"), b"1"
        ),
        "module and attribute that clear the screen": whole(name(f"{escape}os", f"{escape}system")),
        "name of a million letters": torch_zip(state(**{"w" * 10**6: tensor()})),
    }


def lying_arrays():
    """{what it tries: opcodes of an array that is not what it says}."""
    return {
        "shape larger than the data": array((1000, 1000)),
        "shape of 10**12 x 10**12": array((10**12, 10**12)),
        "shape with a zero and 2**60": array((0, 2**60), data=b""),
        "shape with a zero and three times 2**40": array((0, 2**40, 2**40, 2**40), data=b""),
        "negative shape": array((-2, -2)),
        "shape of booleans": array((True, True), data=FOUR[:4]),
        "shape of floats": array((2.0, 2.0)),
        "shape of 40 dimensions": array((1,) * 40, data=FOUR[:4]),
        "shape that is text": array("22"),
        "object array": array((1,), "O8", lambda: value([None])),
        "array of pointers with raw bytes": array((1,), "O8", b"\x41" * 8),
        "void dtype": array((1,), "V16", FOUR),
        "datetime dtype": array((1,), "M8", FOUR[:8]),
        "dtype with commas (a record)": array((1,), "O,O", FOUR),
        "data that is no bytes": array((2, 2), "f4", lambda: value("text")),
        "array without content": array()[: array().rindex(b"(")],
    }


def lying_tensors():
    """{what it tries: (opcodes of a tensor, its storages)}."""
    good = [("data/0", FOUR)]
    return {
        "storage that says 10**9 numbers and has 4": (
            tensor(storage(count=10**9), size=(10**9,), stride=(1,)),
            good,
        ),
        "storage of -4 numbers": (tensor(storage(count=-4)), good),
        "storage of 2**70 numbers": (tensor(storage(count=2**70)), good),
        "storage without bytes": (tensor(storage(key="1")), good),
        "storage with a path: ../../etc/passwd": (tensor(storage(key="../../etc/passwd")), good),
        "storage whose key is a number": (tensor(storage(key=0)), good),
        "storage that is two types": (
            tensor() + b"0" + tensor(storage("LongStorage", count=4)),
            good,
        ),
        "storage of type os.system": (tensor(storage("system", module="os")), good),
        "storage of type torch.Size": (tensor(storage("Size")), good),
        "persistent id that is no storage": (tensor(value("x") + b"Q"), good),
        "view of a storage with lying bounds": (
            tensor(storage(view=value(("1", 10**9, 10**9)))),
            good,
        ),
        "tensor larger than its storage": (tensor(size=(100, 100), stride=(100, 1)), good),
        "offset behind the storage": (tensor(offset=3), good),
        "negative offset": (tensor(offset=-1), good),
        "offset of 2**63": (tensor(offset=2**63), good),
        "strides that reach far": (tensor(stride=(2**39, 1)), good),
        "negative strides": (tensor(offset=3, stride=(-2, -1)), good),
        "strides of 0: a terabyte from 4 numbers": (
            tensor(size=(2**20, 2**20), stride=(0, 0)),
            good,
        ),
        "sizes that overflow 64 bits": (tensor(size=(2**39,) * 8, stride=(0,) * 8), good),
        "sizes with a zero and three times 2**40": (
            tensor(size=(0, 2**40, 2**40, 2**40), stride=(1,) * 4),
            good,
        ),
        "negative sizes": (tensor(size=(-2, -2)), good),
        "more strides than sizes": (tensor(stride=(2, 1, 1)), good),
        "size that is text": (tensor(size="22"), good),
        "conjugated": (tensor(rest=value({"conj": True})), good),
        "storage that is no storage": (tensor(value([1, 2, 3, 4])), good),
        "parameter that is no tensor": (
            call(name("torch._utils", "_rebuild_parameter"), value("x"), value(True), value({})),
            good,
        ),
    }


def _edited(data, find, replace, last=False):
    """Return data with one place overwritten, in the zip's own structures."""
    at = (data.rindex if last else data.index)(find)
    return data[:at] + replace + data[at + len(replace) :]


def _overlapping():
    """Many directory entries that share one member's bytes, each by another name."""
    data = torch_zip(members=[("data/0", FOUR), ("data/1", FOUR)])
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 1)
    third = data.index(b"PK\1\2", second + 1)
    offset = data[second + 42 : second + 46]
    return data[: third + 42] + offset + data[third + 46 :]


def zips():
    """{what it tries: content}: torch files whose zip is the weapon."""
    sound = torch_zip()
    two = io.BytesIO()
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("archive/data.pkl", whole(state(w=tensor())))
        archive.writestr("archive/data/0", FOUR)
        archive.writestr("archive/data/x", FOUR)
    duplicate = two.getvalue().replace(b"archive/data/x", b"archive/data/0")
    directory = sound.index(b"PK\1\2")
    entry_end = directory + 46 + len("archive/data.pkl")
    entry = sound[directory:entry_end]
    crowd = sound[:directory] + entry * 300_000 + sound[sound.rindex(b"PK\5\6") :]
    crowd = crowd[:-10] + struct.pack("<II", len(entry) * 300_000, directory) + crowd[-2:]
    return {
        "member ../../escape": torch_zip(extra=[("../../escape", b"x")]),
        "member /etc/absolute": torch_zip(extra=[("/etc/absolute", b"x")]),
        "member C:\\windows": torch_zip(extra=[("C:\\windows", b"x")]),
        "two members of one name": duplicate,
        "100 MB of zeros, deflated to 100 KB": torch_zip(
            members=[("data/0", bytes(100 * 2**20))], compression=zipfile.ZIP_DEFLATED
        ),
        "the pickle itself deflated from 20 MB": torch_zip(
            b"}" + b"N0" * 10 * 2**20, compression=zipfile.ZIP_DEFLATED
        ),
        "bzip2": torch_zip(compression=zipfile.ZIP_BZIP2),
        "member that says 4 GB": _edited(
            sound, b"PK\1\2", sound[directory : directory + 20] + b"\xfe\xff\xff\xff" * 2
        ),
        "member whose place is behind the end": _edited(
            sound, b"PK\1\2", entry[:42] + b"\xff\xff\xff\x7f"
        ),
        "members that share their bytes": _overlapping(),
        "encrypted": _edited(sound, b"PK\1\2", entry[:8] + b"\x01\x00"),
        "300,000 directory entries": crowd,
        "directory that lies about its size": sound[:-10] + b"\xff\xff\xff\x7f" + sound[-6:],
        "checksum that differs": sound.replace(FOUR, FOUR[::-1]),
        "no data.pkl": torch_zip().replace(b"data.pkl", b"data.pkx"),
        "two data.pkl": torch_zip(extra=[("other/data.pkl", b"}.")]),
        "TorchScript": torch_zip(members=[("constants.pkl", b"x"), ("code/__torch__.py", b"x")]),
        "NumPy archive": torch_zip(extra=[("a.npy", b"x")]).replace(b"data.pkl", b"data.pkx"),
        "only the four letters of a zip": b"PK\3\4",
        "zip64 directory of 2**62 entries": sound[: sound.rindex(b"PK\5\6")]
        + struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2**62, 2**62, 2**62, directory)
        + struct.pack("<4sIQI", b"PK\6\7", 0, sound.rindex(b"PK\5\6"), 1)
        + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *[2**16 - 1] * 2, *[2**32 - 1] * 2, 0),
        "pickle that is another file's, behind a second directory": sound
        + torch_zip(name("os", "system")),
        "zip of another zip's end": sound[sound.rindex(b"PK\5\6") :],
    }


def legacies():
    """{what it tries: content}: legacy torch files with lies behind the pickle."""
    count = struct.Struct("<q")
    return {
        "storage that says 2**62 numbers": torch_legacy(storages=count.pack(2**62) + FOUR),
        "storage that says -1 numbers": torch_legacy(storages=count.pack(-1) + FOUR),
        "storage that is cut off": torch_legacy(storages=count.pack(4) + FOUR[:5]),
        "no storages": torch_legacy(storages=b""),
        "storage that nobody refers to": torch_legacy(keys=("7",)),
        "list of storages that is a dict": torch_legacy().replace(
            pickle.dumps(["0"], 2), pickle.dumps({"0": 0}, 2)
        ),
        "another version": torch_legacy().replace(b"M\xe9\x03", b"M\xea\x03"),
    }


def safetensors_files():
    """{what it tries: content}."""

    def one(shape="[2,2]", offsets="[0,16]", dtype="F32", extra=""):
        entry = f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'
        return safetensors(f'{{"w":{entry}{extra}}}', FOUR)

    return {
        "header of 2**63 bytes": safetensors('{"w":1}', length=2**63),
        "header of 2**40 bytes": safetensors('{"w":1}', length=2**40),
        "header longer than the file": safetensors('{"w":1}', length=1000),
        "header that is no JSON": safetensors("{nonsense}"),
        "header nested 100,000 deep": safetensors('{"w":' + "[" * 100_000),
        "header that is no dict of tensors": safetensors('{"w":[1,2]}'),
        "data out of the file": one(offsets="[0,1600]", shape="[20,20]"),
        "negative offsets": one(offsets="[-16,0]"),
        "offsets that go backwards": one(offsets="[16,0]"),
        "shape larger than the data": one(shape="[1000,1000]"),
        "shape that overflows": one(shape="[4294967296,4294967296,4294967296]"),
        "negative shape": one(shape="[-2,-2]"),
        "shape with a zero and 2**62": one(
            shape="[0,4611686018427387904]", offsets="[0,0]"
        ).replace(FOUR, b""),
        "shape of 40 dimensions": one(shape=str([1] * 39 + [4])),
        "unknown dtype": one(dtype="PICKLE"),
        "tensors that overlap": one(
            extra=',"v":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}'
        ),
        "hole in the data": one(offsets="[4,16]", shape="[3]"),
        "only a header": safetensors("{}"),
    }


def _write(content):
    return lambda path: path.write_bytes(content)


def _truncated(content, count=30):
    """Files cut at many places; a cut file may never be read as a whole one."""
    step = max(1, len(content) // count)
    return [content[:end] for end in range(1, len(content) - 1, step)]


def other_files():
    """{what it tries: a function that makes the path}."""
    tar = b"\0" * 257 + b"ustar" + b"\0" * 250

    def sparse(path):
        with path.open("wb") as file:
            file.write(b"\x80\x02\x8e" + struct.pack("<Q", 2**40))
            file.truncate(2**40)

    def loop(path):
        path.symlink_to(path.name)

    return {
        "empty file": _write(b""),
        "one byte": _write(b"\x80"),
        "folder": lambda path: path.mkdir(),
        "pipe that nobody writes to": os.mkfifo,
        "link to itself": loop,
        "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "nothing there": lambda path: None,
        "file of 1 TB with holes": sparse,
        "web page": _write(b"<!DOCTYPE html><html>404</html>"),
        "Git LFS pointer": _write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "Keras file": _write(b"\x89HDF\r\n\x1a\n" + bytes(100)),
        "gzip": _write(b"\x1f\x8b\x08" + bytes(100)),
        "tar": _write(tar),
        "random bytes": _write(bytes((i * 197 + 13) % 251 for i in range(5000))),
        "text": _write(b"weights? what weights?" * 10),
    }


def build(folder, canary):
    """Write all files; return [(file name, what it tries)]."""
    rows = []

    def add(kind, what, make, suffix):
        path = folder / f"{kind}_{len(rows):03}{suffix}"
        make(path)
        rows.append((path.name, what))

    for what, opcodes in code_payloads(canary).items():
        add("code", what, _write(whole(opcodes)), ".pdparams")
        add("code", what, _write(torch_zip(opcodes)), ".pt")
        add("code", what, _write(torch_legacy(opcodes)), ".th")
        for where, content in beside_weights(opcodes).items():
            add("beside", f"{what}, {where}", _write(content), ".pth")
    for what, content in bombs().items():
        add("bomb", what, _write(content), ".pdparams")
        if len(content) < 50_000:  # the same machine reads it: no need to wait twice
            add("bomb", what, _write(torch_zip(content[2:-1])), ".pth")
    for what, content in bad_names().items():
        add("name", what, _write(content), "")
    for what, opcodes in lying_arrays().items():
        add("array", what, _write(whole(state(w=opcodes))), ".pdparams")
    for what, (opcodes, storages) in lying_tensors().items():
        add("tensor", what, _write(torch_zip(state(w=opcodes), storages)), ".pth")
    for what, content in zips().items():
        add("zip", what, _write(content), ".pth")
    for what, content in legacies().items():
        add("legacy", what, _write(content), ".th")
    for what, content in safetensors_files().items():
        add("safe", what, _write(content), ".safetensors")
    for what, make in other_files().items():
        add("file", what, make, "")
    sound = {
        ".pdparams": whole(state(w=array())),
        ".pth": torch_zip(),
        ".th": torch_legacy(),
        ".safetensors": safetensors(
            '{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', FOUR
        ),
    }
    for suffix, content in sound.items():
        for part in _truncated(content):
            add("cut", f"cut at {len(part)} of {len(content)} bytes", _write(part), suffix)
    return rows


def answers(folder, canary):
    """Open every file under limits; return [(name, tries, answer, executed, seconds)]."""
    from paddle_resnet.errors import WeightsError
    from paddle_resnet.weights import open_weights

    rows = build(folder, canary)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    table = []
    for file, tries in rows:
        signal.alarm(SECONDS)  # ends the process: a file that takes so long is a failure
        start = time.perf_counter()
        try:
            contents = open_weights(folder / file)
            arrays = {name: array.tolist() for name, array in contents.arrays.items()}
            answer = f"LOADED {arrays}"
        except WeightsError as error:
            answer = str(error).replace(f"{folder}{os.sep}", "")
        except BaseException as error:
            answer = f"RAISED {type(error).__name__}: {str(error)[:100]}"
        signal.alarm(0)
        table.append((file, tries, answer, Path(canary).exists(), time.perf_counter() - start))
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="for the tests")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory(prefix="payloads_") as folder:
        canary = str(Path(folder) / "canary")
        table = answers(Path(folder), canary)
    if as_json:
        json.dump(table, sys.stdout)
        return
    for file, tries, answer, _, _ in table:
        print(f"{file:22} | {tries}\n{'':22} |   -> {answer}")
    executed = sum(row[3] for row in table)
    loaded = sum(row[2].startswith("LOADED") for row in table)
    raised = sum(row[2].startswith("RAISED") for row in table)
    slowest = max(row[4] for row in table)
    print(
        f"{len(table)} files: {executed} executed, {raised} raised other errors than ours, of "
        f"{loaded} the weights beside were loaded; slowest {slowest:.1f} s"
    )


if __name__ == "__main__":
    main()
