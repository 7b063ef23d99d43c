"""The operator's library: built once per CPU, Paddle and source, and loaded into Paddle."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from .. import cpu_runtime
from ..io.atomic_files import cache_folder
from ..io.file_lock import FolderLock
from ..io.trusted_path import make_trusted_folder, why_untrusted
from . import algorithm_choice, mode
from .compiler import (
    CSRC,
    FLAGS,
    HEADERS,
    SOURCES,
    Unavailable,
    compile_library,
    paddle_folder,
    paddle_library,
)
from .create_graph import is_recording

NAME = "conv_bn.so"
#: Kept for as long as the library may call it.
_IS_RECORDING = ctypes.CFUNCTYPE(ctypes.c_bool)(is_recording)


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the operator's library, or None if it cannot be used. Build it if it is not built.

    Done once per process; the reason of a failure is logged then.

    Raises:
        Unavailable: it cannot be used, and ``PADDLE_RESNET_KERNELS`` is ``require``.
    """
    try:
        return _in_own_thread(lambda: _load(build()))
    except Unavailable as error:
        if mode() == "require":
            raise Unavailable(f"PADDLE_RESNET_KERNELS=require, but {error}") from None
        _log(f"plain Paddle computes the convolutions: {error}")
        return None


def state() -> str:
    """Return ``built``, ``not built yet`` or ``not possible: REASON``, without building it."""
    try:
        return "built" if _path().exists() else "not built yet"
    except Unavailable as error:
        return f"not possible: {error}"


def release() -> None:
    """Free unused blocks of memory and compiled convolutions."""
    if library.cache_info().currsize and library() is not None:
        library().paddle_resnet_release()


def build(force: bool = False) -> Path:
    """Return the path of the library for this machine; compile it if it does not exist.

    One process compiles, others wait for it. A file that another user could have written is not
    used.

    Args:
        force: compile even if it exists.

    Raises:
        Unavailable: it cannot be built here, or must not be loaded.
    """
    path = _path()
    try:
        if force or not path.exists():
            make_trusted_folder(path.parent)
            with _one_process(path.parent):
                if force or not path.exists():
                    _compile(path)
        for each in (path.parent, path):
            if reason := why_untrusted(each):
                raise Unavailable(
                    f"{each} {reason} and is not loaded; PADDLE_RESNET_CACHE can name another "
                    "folder."
                )
    except OSError as error:
        raise Unavailable(f"the operator cannot be built: {error}.") from error
    return path


def _compile(path: Path) -> None:
    _log("building the CPU operator (once, about 20 seconds) ...")
    # In the same folder, since a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
        warnings = compile_library(Path(folder), NAME)
        os.chmod(Path(folder, NAME), 0o755)
        os.replace(Path(folder, NAME), path)
    if warnings:
        _log(f"the compiler warns:\n{warnings.strip()}")


@contextlib.contextmanager
def _one_process(folder: Path) -> Iterator[None]:
    """Wait until no other process builds the library."""
    lock = FolderLock(folder / "build.lock")
    while True:
        try:
            lock.acquire()
            break
        except BlockingIOError:
            time.sleep(0.2)
    try:
        yield
    finally:
        lock.release()


def _in_own_thread(work: Callable[[], ctypes.CDLL]) -> ctypes.CDLL:
    """Call a function in another thread, which ``paddle.jit.to_static`` does not trace.

    Paddle 2.6 translates the byte code of whatever its own thread runs, and fails at the standard
    library.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


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
        algorithm_choice.attach(loaded, path.name)
        load_op_meta_info_and_register_op(str(path))
    except (OSError, AttributeError) as error:
        raise Unavailable(f"{path} cannot be loaded: {error}; delete it to rebuild it.") from error
    return loaded


def _path() -> Path:
    """Return the path of the library for this Paddle, CPU and source.

    Raises:
        Unavailable: no such library can exist here.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable("the CPU operator is for Linux on x86-64.")
    if "avx2" not in cpu_runtime.cpu_flags():
        raise Unavailable("this CPU has no AVX2.")
    paddle, core = paddle_folder(), paddle_library()
    libraries = [paddle / "libs" / name for name in ("libdnnl.so.3", "libiomp5.so")]
    for file in (*libraries, core, paddle / "include" / "paddle" / "extension.h"):
        if not file.exists():
            raise Unavailable(f"this Paddle has no {file.name}.")
    import paddle as installed

    digest = hashlib.sha256()
    for name in (*SOURCES, *HEADERS):
        digest.update((CSRC / name).read_bytes())
    facts = [*FLAGS, installed.__version__, str(paddle), str(core.stat().st_size)]
    digest.update("\n".join([*facts, *sorted(cpu_runtime.cpu_flags())]).encode())
    return cache_folder() / "kernels" / f"conv_bn-{digest.hexdigest()[:16]}.so"


def _log(line: str) -> None:
    print(f"paddle_resnet: {line}", file=sys.stderr, flush=True)
