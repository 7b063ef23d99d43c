"""Compile the operator's C++ sources against Paddle's own libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import UserError

CSRC = Path(__file__).parent / "csrc"
SOURCES = tuple(sorted(path.name for path in CSRC.glob("*.cc")))
HEADERS = tuple(sorted(path.name for path in CSRC.glob("*.h")))

#: -march=native compiles for this CPU, so its flags are part of the library's file name.
#: Without PADDLE_NO_PYTHON Paddle's header wants Python's own, which few machines have.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fPIC",
    "-fopenmp",
    "-Wall",
    "-DPADDLE_WITH_CUSTOM_KERNEL",
    "-DPADDLE_NO_PYTHON",
)


class Unavailable(UserError):
    """The operator cannot be used on this machine; the sentence says why."""


def paddle_folder() -> Path:
    """Return the folder of the installed Paddle."""
    import paddle

    return Path(paddle.__file__).parent


def paddle_library() -> Path:
    """Return the path of Paddle's own compiled part."""
    from paddle.base import core

    return Path(core.libpaddle.__file__)


def compile_library(folder: Path, name: str) -> str:
    """Compile all sources, one compiler per core at a time, and link them.

    Args:
        folder: receives the library and the object files.
        name: of the library.

    Returns:
        str: the compiler's warnings about these sources, without those about Paddle's headers.

    Raises:
        Unavailable: there is no compiler, or it fails.
        OSError: the compiler cannot be started, or a file cannot be written.
    """
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if not compiler:
        raise Unavailable("there is no C++ compiler (g++).")
    paddle, core = paddle_folder(), paddle_library()
    headers = [paddle / "include", paddle / "include" / "third_party"]
    includes = [word for path in headers for word in ("-isystem", str(path))]
    commands = [
        [compiler, *FLAGS, *includes, "-c", str(CSRC / source), "-o", f"{source}.o"]
        for source in SOURCES
    ]
    pool = ThreadPoolExecutor(_cores())
    try:
        warnings = "".join(pool.map(lambda command: _run(command, folder), commands))
    finally:
        pool.shutdown(cancel_futures=True)  # after a failure
    # Linked without -fopenmp: libgomp would be a second thread pool beside Paddle's libiomp5, which
    # implements GCC's calls too.
    folders = [paddle / "libs", core.parent]
    link = [compiler, "-shared", *(f"{source}.o" for source in SOURCES), "-o", name]
    link += [f"-L{path}" for path in folders] + [f"-Wl,-rpath,{path}" for path in folders]
    return warnings + _run([*link, "-l:libdnnl.so.3", "-l:libiomp5.so", f"-l:{core.name}"], folder)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a compiler and return what it wrote to stderr.

    Raises:
        Unavailable: it failed; holds the first line about an error.
    """
    done = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if "error" in line.lower()]
        detail = (lines or [f"{command[0]} failed"])[0]
        raise Unavailable(f"the operator does not compile here: {detail}")
    return done.stderr
