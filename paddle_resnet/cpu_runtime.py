"""The CPU runtime that Paddle runs in: threads and the C library's allocator.

Paddle sets ``OMP_NUM_THREADS=1`` when it is imported and then works on one core for good; and the
C library returns every large tensor to the system when it is freed, so that each training step
pays for fresh pages again. :func:`set_up` repairs both before Paddle is imported (the package calls
it at its own import) and does what can still be done when Paddle came first.

Whatever the user has set in the environment is left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from .interrupts import deferred_interrupt

# glibc's <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_LARGE = 2**31 - 1  # mallopt takes an int; nothing we train has a single block above 2 GiB

#: glibc's own names of the two settings; a user who sets one of them keeps it.
_MALLOC_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


#: Parts of the lines of Paddle's advice against more than one thread.
_THREAD_ADVICE = (
    "WARNING: OMP_NUM_THREADS set to",
    "The computation speed will not be optimized if you use data parallel",
    "It will fail if this PaddlePaddle binary is compiled with OpenBlas",
    "OpenBlas does not support multi-threads",
    "PLEASE USE OMP_NUM_THREADS WISELY",
)


@dataclass
class Runtime:
    """What :func:`set_up` found and did."""

    cores: int
    threads: int
    allocator_tuned: bool = False
    notes: list[str] = field(default_factory=list)


def available_cores() -> int:
    """Return how many cores this process may use: its affinity, cut by a container's CPU quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(cores, quota) if quota else cores)


def _cgroup_quota() -> int:
    """Return the container's CPU quota in whole cores, rounded up, or 0 where there is none."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:  # cgroup v2: "<quota|max> <period>"
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as file:
                quota = file.read().strip()
            with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as file:
                period = file.read().strip()
        except OSError:
            return 0
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return 0  # "max" or -1: no limit
    return max(1, -(-int(quota) // int(period)))


def default_threads() -> int:
    """Return the threads one process should use: the cores, shared by the processes launched here.

    ``paddle.distributed.launch`` gives every local process ``PADDLE_LOCAL_SIZE``.
    """
    local = os.environ.get("PADDLE_LOCAL_SIZE", "1")
    return max(1, available_cores() // (int(local) if local.isdigit() and int(local) > 0 else 1))


def set_up() -> Runtime:
    """Give Paddle all cores and keep freed memory in the process; report what was done.

    Safe to call more than once. Environment variables that the user set win:
    ``OMP_NUM_THREADS`` for the threads, glibc's ``MALLOC_*_THRESHOLD_`` for the allocator.

    Returns:
        Runtime: cores, threads in use, and one-line notes about what could not be done.
    """
    _load_pillow()
    cores = available_cores()
    runtime = Runtime(cores=cores, threads=default_threads())
    if "paddle" in sys.modules:
        _set_threads_late(runtime)
    elif _user_set("OMP_NUM_THREADS"):
        runtime.threads = _environment_threads()
    else:
        os.environ["OMP_NUM_THREADS"] = str(runtime.threads)
    runtime.allocator_tuned = _tune_allocator()
    return runtime


def _load_pillow() -> None:
    """Load Pillow's library while Paddle's is not there yet.

    Paddle 2.6 exports the zlib inside it. A Pillow that is loaded later calls that one, and cannot
    decode PNGs any more, or crashes.
    """
    with contextlib.suppress(ImportError):
        from PIL import Image  # noqa: F401


def _user_set(variable: str) -> bool:
    return bool(os.environ.get(variable, "").strip())


def _environment_threads() -> int:
    # OpenMP allows a list such as "4,2": the first number is the outermost level.
    first = os.environ.get("OMP_NUM_THREADS", "1").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) > 0 else 1


def _set_threads_late(runtime: Runtime) -> None:
    """Raise the thread count of an already imported Paddle, as far as that is possible.

    By then Paddle has written ``OMP_NUM_THREADS=1`` itself, which looks like a user's own 1. Any
    other value is the user's choice and stays.
    """
    threads = _environment_threads()
    if threads != 1 or runtime.threads == 1:
        runtime.threads = threads
        return
    # Eigen's loops inside Paddle read the environment once, at load: they stay on one core.
    omp = _openmp()
    if omp is None:
        runtime.threads = 1
        runtime.notes.append(
            "Paddle was imported before paddle_resnet and stays on one core: "
            "import paddle_resnet first, or set OMP_NUM_THREADS."
        )
        return
    _set_threads(omp, runtime.threads)
    runtime.notes.append(
        f"Paddle was imported before paddle_resnet: raised it to {runtime.threads} threads for "
        "this thread of the program only; import paddle_resnet first to give it all cores."
    )


def _set_threads(omp: ctypes.CDLL, threads: int) -> None:
    omp.omp_set_num_threads(threads)
    core = getattr(getattr(sys.modules["paddle"], "base", None), "core", None)
    if core is not None and hasattr(core, "set_num_threads"):
        core.set_num_threads(threads)  # the BLAS behind matmul


@contextlib.contextmanager
def keep_threads() -> Iterator[None]:
    """Compute after the block with as many threads as before: Paddle Inference leaves one."""
    omp = _openmp()
    before = omp.omp_get_max_threads() if omp is not None else 0
    try:
        yield
    finally:
        if omp is not None and omp.omp_get_max_threads() != before:
            _set_threads(omp, before)


def start_openmp() -> None:
    """Let the OpenMP of an imported Paddle start now, on the cores that the process has now."""
    omp = _openmp()
    if omp is not None:
        omp.omp_get_num_procs()


@functools.cache
def _openmp() -> ctypes.CDLL | None:
    """Return the OpenMP of Paddle, which is imported."""
    return _loaded_library("libiomp5.so", "libgomp.so.1")


def _loaded_library(*names: str) -> ctypes.CDLL | None:
    """Return the first of these shared libraries that is in the process already."""
    try:
        with open("/proc/self/maps") as libraries:
            paths = {line.split()[-1] for line in libraries if "/" in line}
    except OSError:
        return None
    for name in names:
        for path in sorted(paths):
            if os.path.basename(path).startswith(name):
                return ctypes.CDLL(path)
    return None


def _tune_allocator() -> bool:
    """Keep freed blocks in the process. Return whether this C library took the settings."""
    if sys.platform != "linux" or any(_user_set(name) for name in _MALLOC_VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # musl and others have no mallopt
    # Large tensors come from the heap, which keeps their pages, instead of from mmap, which gives
    # them back at every free and faults them in again, zeroed, at the next step.
    # Some glibc releases refuse a threshold above 32 MiB: there, mmap is turned off as a whole.
    kept = mallopt(_M_MMAP_THRESHOLD, _LARGE) or mallopt(_M_MMAP_MAX, 0)
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, _LARGE))


def import_paddle() -> None:
    """Import Paddle without its two start-up warnings that a user can do nothing about.

    They are the advice against more than one thread, which is about Paddle builds with OpenBLAS in
    old data-parallel code, and the one about ccache. Everything else it prints goes through.

    Raises:
        ModuleNotFoundError: Paddle is not installed; says how to install it.
    """
    if "paddle" in sys.modules:
        return
    buffer = io.StringIO()
    try:
        with deferred_interrupt(), contextlib.redirect_stderr(buffer), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No ccache found")
            import paddle  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "paddle":
            raise
        raise ModuleNotFoundError(
            "PaddlePaddle is not installed: run `pip install paddlepaddle` (CPU) or "
            "`pip install paddlepaddle-gpu` (NVIDIA GPU).",
            name="paddle",
        ) from None
    finally:
        for line in buffer.getvalue().splitlines():
            if not any(part in line for part in _THREAD_ADVICE):
                print(line, file=sys.stderr)


def cpu_model() -> str:
    """Return the processor's name, or the machine type where it cannot be read."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_flags() -> frozenset[str]:
    """Return the CPU's feature flags (``avx512f``, ``amx_bf16``, ...); empty where unknown."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith(("flags", "Features")):
                    return frozenset(line.split(":", 1)[1].split())
    except OSError:
        pass
    return frozenset()


def has_bfloat16_units() -> bool:
    """Return whether the CPU multiplies bfloat16 numbers itself, and so gains from them."""
    return not cpu_flags().isdisjoint(("avx512_bf16", "amx_bf16"))


def memory_gib() -> float:
    """Return the machine's memory in GiB, 0.0 where it cannot be read."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return 0.0


#: What set-up found and did, when the package was imported; `paddle-resnet doctor` prints it.
RUNTIME = set_up()
