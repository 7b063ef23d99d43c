"""Which algorithm computes each convolution: measured once, kept in the cache folder.

The operator times the candidates of a shape and direction when it first meets them, on the threads
in use (csrc/algorithm_choice.cc). Another algorithm gives other last bits, so that choices are kept
in a file of this CPU and operator, and a run notes its own. ``PADDLE_RESNET_CONV`` takes one
algorithm wherever it is a candidate, when the operator is loaded:

- ``auto`` (default): the fastest;
- ``direct``: oneDNN's convolutions;
- ``winograd``: Winograd's F(4x4, 3x3), in float32 arithmetic;
- ``gemm``: a matrix product.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .. import cpu_runtime
from ..errors import UserError, did_you_mean
from ..io.atomic_files import cache_folder

VARIABLE = "PADDLE_RESNET_CONV"
ALGORITHMS = ("auto", "direct", "winograd", "gemm")


def wanted_algorithm() -> str:
    """Return what the environment variable asks for.

    Raises:
        UserError: ``PADDLE_RESNET_CONV`` is no algorithm.
    """
    wanted = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if wanted not in ALGORITHMS:
        raise UserError(
            f"{VARIABLE} is '{wanted}', expected one of {', '.join(ALGORITHMS)}."
            + did_you_mean(wanted, ALGORITHMS)
        )
    return wanted


def choices_file(library_name: str) -> Path:
    """Return the file with the choices of this CPU.

    Args:
        library_name: of the operator's library, with the hash of its source, Paddle and CPU flags.
    """
    facts = "\n".join([cpu_runtime.cpu_model(), library_name])
    return (
        cache_folder() / "convolutions" / f"{hashlib.sha256(facts.encode()).hexdigest()[:16]}.txt"
    )


def attach(library: ctypes.CDLL, library_name: str) -> None:
    """Prepare a library that was just loaded: its file of choices, and the variable.

    Raises:
        UserError: ``PADDLE_RESNET_CONV`` is no algorithm.
        AttributeError: it is no library of this source.
    """
    library.paddle_resnet_choice_file.argtypes = [ctypes.c_char_p]
    library.paddle_resnet_force_algorithm.argtypes = [ctypes.c_char_p]
    library.paddle_resnet_force_algorithm.restype = ctypes.c_bool
    library.paddle_resnet_notes.restype = ctypes.c_char_p
    library.paddle_resnet_take_notes.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)]
    wanted = wanted_algorithm()
    file = choices_file(library_name)
    with contextlib.suppress(OSError):  # then each process measures
        file.parent.mkdir(parents=True, exist_ok=True)
    library.paddle_resnet_choice_file(os.fsencode(file))
    library.paddle_resnet_force_algorithm(wanted.encode())


@contextlib.contextmanager
def forced(library: ctypes.CDLL, algorithm: str) -> Iterator[None]:
    """Take one algorithm inside a ``with`` block, in all threads, whatever the variable says.

    Raises:
        ValueError: there is none of this name.
    """
    if not library.paddle_resnet_force_algorithm(algorithm.encode()):
        raise ValueError(f"no algorithm '{algorithm}'")
    try:
        yield
    finally:
        library.paddle_resnet_force_algorithm(wanted_algorithm().encode())


class Measured(NamedTuple):
    """What was measured for a convolution, and the algorithm that it is computed by."""

    algorithm: str
    direction: str
    #: n, c, h, w, o, kernel height and width, stride, dilation, groups, bfloat16 (0 or 1).
    shape: tuple[int, ...]
    threads: int
    #: By algorithm; infinity for one that failed.
    milliseconds: dict[str, float]


@contextlib.contextmanager
def measuring_anew(library: ctypes.CDLL) -> Iterator[list[Measured]]:
    """Measure all convolutions inside a ``with`` block, apart from the cache folder's choices.

    The list is filled at the end of the block. What was kept before is in force again then.
    """
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "choices.txt"
        library.paddle_resnet_choice_file(os.fsencode(file))
        try:
            yield measured
        finally:
            kept = choices_file(Path(library._name).name)
            library.paddle_resnet_choice_file(os.fsencode(kept))
        if file.exists():
            lines = file.read_text(encoding="ascii").splitlines()
            measured.extend(_measured(line) for line in lines if "#" in line)


def _measured(line: str) -> Measured:
    choice, _, times = line.partition("#")
    algorithm, direction, *numbers, dtype, threads = choice.split()
    n, c, h, w, o, kh, kw, stride, _, dilation, groups = map(int, numbers)
    return Measured(
        algorithm,
        direction,
        (n, c, h, w, o, kh, kw, stride, dilation, groups, int(dtype == "bfloat16")),
        int(threads),
        {name: float(value) for name, value, _ in (each.split() for each in times.split(","))},
    )


def notes_from(library: ctypes.CDLL, notes: str) -> tuple[int, int]:
    """Take the choices that a run noted, before those of this machine.

    Args:
        library: the operator's.
        notes: lines of its ``paddle_resnet_notes``; anything else is passed over.

    Returns:
        tuple: how many of them are overruled by ``PADDLE_RESNET_CONV``, and of how many this
        machine has measured another algorithm to be the fastest.
    """
    otherwise = ctypes.c_int()
    overruled = library.paddle_resnet_take_notes(notes.encode(), ctypes.byref(otherwise))
    return overruled, otherwise.value
