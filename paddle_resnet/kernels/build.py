"""Build the operator with the machine's C++ compiler, once, and load it into Paddle."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import cpu_runtime
from ..errors import UserError
from ..io.atomic_files import cache_folder
from . import mode
from .create_graph import is_recording

CSRC = Path(__file__).parent / "csrc"
SOURCES = tuple(sorted(path.name for path in CSRC.glob("*.cc")))
HEADERS = tuple(sorted(path.name for path in CSRC.glob("*.h")))
NAME = "conv_bn.so"

#: -march=native: the loops use what this CPU has, which is why its flags are in the file's name.
#: Without PADDLE_NO_PYTHON Paddle's header wants Python's own, which few machines have.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fPIC",
    "-fopenmp",
    "-w",
    "-DPADDLE_WITH_CUSTOM_KERNEL",
    "-DPADDLE_NO_PYTHON",
)


#: Kept for as long as the library may call it.
_IS_RECORDING = ctypes.CFUNCTYPE(ctypes.c_bool)(is_recording)


class Unavailable(UserError):
    """The operator cannot be used on this machine; the sentence says why."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the operator's library, built if need be, or None where it cannot be used.

    Tried once in a process; the reason of a failure is printed then.

    Raises:
        Unavailable: it cannot be used, and ``PADDLE_RESNET_KERNELS`` is ``require``.
    """
    try:
        return _load(_built())
    except Unavailable as error:
        if mode() == "require":
            raise Unavailable(f"PADDLE_RESNET_KERNELS=require, but {error}") from None
        _say(f"plain Paddle computes the convolutions: {error}")
        return None


def state() -> str:
    """Say in a few words whether the operator is built, without building it."""
    try:
        return "built" if _path().exists() else "not built yet"
    except Unavailable as error:
        return f"not possible: {error}"


def _built() -> Path:
    """Return the path of the library for this machine; build it if it is not there."""
    path = _path()
    if path.exists():
        return path
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if not compiler:
        raise Unavailable("there is no C++ compiler (g++).")
    _say("building the CPU operator (once, about 20 seconds) ...")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, since a rename is atomic only within one file system. Two processes
        # at once both build; the second rename puts the same thing in the first one's place.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
            _compile(compiler, Path(folder))
            os.replace(Path(folder, NAME), path)
    except OSError as error:
        raise Unavailable(f"the operator cannot be built: {error}.") from error
    return path


def _compile(compiler: str, folder: Path) -> None:
    """Compile the sources side by side, then link them against Paddle's own libraries."""
    paddle = _paddle()
    includes = [f"-I{paddle / 'include'}", f"-I{paddle / 'include' / 'third_party'}"]
    commands = [
        [compiler, *FLAGS, *includes, "-c", str(CSRC / source), "-o", f"{source}.o"]
        for source in SOURCES
    ]
    _run(commands, folder)
    # Not -fopenmp: GCC's libgomp would be a second pool of threads beside Paddle's libiomp5, which
    # answers to GCC's calls too.
    folders = [paddle / "libs", _core().parent]
    link = [compiler, "-shared", *(f"{source}.o" for source in SOURCES), "-o", NAME]
    link += [f"-L{path}" for path in folders] + [f"-Wl,-rpath,{path}" for path in folders]
    _run([[*link, "-l:libdnnl.so.3", "-l:libiomp5.so", f"-l:{_core().name}"]], folder)


def _run(commands: list[list[str]], folder: Path) -> None:
    """Run commands side by side.

    Raises:
        Unavailable: one of them failed; holds the first line about an error.
    """
    running = [
        subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    messages = [process.communicate()[1] for process in running]
    if any(process.returncode for process in running):
        lines = [line.strip() for line in "".join(messages).splitlines() if "error" in line.lower()]
        detail = (lines or [f"{commands[0][0]} failed"])[0]
        raise Unavailable(f"the operator does not compile here: {detail}")


def _load(path: Path) -> ctypes.CDLL:
    from paddle.utils.cpp_extension.extension_utils import load_op_meta_info_and_register_op

    try:
        loaded = ctypes.CDLL(str(path))
        loaded.paddle_resnet_backward_passes.restype = ctypes.c_int64
        loaded.paddle_resnet_can_bfloat16.restype = ctypes.c_bool
        loaded.paddle_resnet_bfloat16_product.restype = ctypes.c_double
        loaded.paddle_resnet_bfloat16_product.argtypes = [ctypes.c_int64, ctypes.c_int64]
        loaded.paddle_resnet_blocks.argtypes = [ctypes.POINTER(ctypes.c_int64)]
        loaded.paddle_resnet_profile_rows.restype = ctypes.c_char_p
        loaded.paddle_resnet_ask_recording(_IS_RECORDING)
        load_op_meta_info_and_register_op(str(path))
    except (OSError, AttributeError) as error:
        raise Unavailable(
            f"{path} cannot be loaded: {error}; delete it to build it anew."
        ) from error
    return loaded


def _path() -> Path:
    """Return where the library for this Paddle, CPU and source is kept."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable("the CPU operator is for Linux on x86-64.")
    if "avx2" not in cpu_runtime.cpu_flags():
        raise Unavailable("this CPU has no AVX2.")
    libraries = [_paddle() / "libs" / name for name in ("libdnnl.so.3", "libiomp5.so")]
    for file in (*libraries, _core(), _paddle() / "include" / "paddle" / "extension.h"):
        if not file.exists():
            raise Unavailable(f"this Paddle has no {file.name}.")
    import paddle

    digest = hashlib.sha256()
    for name in (*SOURCES, *HEADERS):
        digest.update((CSRC / name).read_bytes())
    facts = [*FLAGS, paddle.__version__, str(_paddle()), str(_core().stat().st_size)]
    digest.update("\n".join([*facts, *sorted(cpu_runtime.cpu_flags())]).encode())
    return cache_folder() / "kernels" / f"conv_bn-{digest.hexdigest()[:16]}.so"


def _paddle() -> Path:
    import paddle

    return Path(paddle.__file__).parent


def _core() -> Path:
    """Return the path of Paddle's own compiled part."""
    from paddle.base import core

    return Path(core.libpaddle.__file__)


def _say(line: str) -> None:
    print(f"paddle_resnet: {line}", file=sys.stderr, flush=True)
