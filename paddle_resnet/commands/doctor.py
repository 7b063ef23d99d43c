"""`paddle-resnet doctor`: facts about this machine and advice."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
from typing import Any

from .. import cpu_runtime
from ..cpu_runtime import RUNTIME
from ..version import __version__
from . import _parser

EXAMPLES = """\
  paddle-resnet doctor
  paddle-resnet doctor --json
"""

#: Instruction sets that decide how fast convolutions can be, best last.
_INSTRUCTION_SETS = ("avx", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers,
        "doctor",
        "what this machine is, what is used of it, what is missing",
        EXAMPLES,
        run,
    )
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print facts and advice; exit code 2 when Paddle is missing."""
    facts, advice = examine()
    if arguments.json:
        print(json.dumps({"facts": facts, "advice": advice}, indent=2))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            print(f"{name:<{width}}  {value}")
        print()
        for line in advice or ["Nothing is missing."]:
            print(f"- {line}" if advice else line)
    return 2 if facts["Paddle"] == "missing" else 0


def examine() -> tuple[dict[str, str], list[str]]:
    """Return the facts by name, and sentences about what could be better."""
    advice = list(RUNTIME.notes)
    facts = {
        "paddle_resnet": __version__,
        "Python": platform.python_version(),
        "Paddle": "missing",
        "device": "-",
        "platform": platform.platform(),
        "CPU": cpu_runtime.cpu_model(),
        "instructions": ", ".join(i for i in _INSTRUCTION_SETS if i in cpu_runtime.cpu_flags())
        or "?",
        "cores": str(RUNTIME.cores),
        "threads": f"{RUNTIME.threads} of {RUNTIME.cores} cores",
        "allocator": "freed memory stays in the process"
        if RUNTIME.allocator_tuned
        else "as the C library has it",
        "memory": f"{cpu_runtime.memory_gib():.1f} GiB",
        "free disk here": f"{shutil.disk_usage('.').free / 1e9:.1f} GB",
        "VisualDL": _version("visualdl") or "missing",
        "C++ compiler": shutil.which("g++") or "none",
    }
    if RUNTIME.threads < RUNTIME.cores:
        advice.append(
            f"Only {RUNTIME.threads} of {RUNTIME.cores} cores are used: OMP_NUM_THREADS is set; "
            "unset it to use all."
        )
    try:
        cpu_runtime.import_paddle()
        import paddle

        facts["Paddle"] = paddle.__version__
        facts["device"] = paddle.device.get_device()
        facts["CPU operator"] = _operator()
        if facts["device"] == "cpu" and _version("paddlepaddle-gpu"):
            advice.append("A GPU build of Paddle is installed, but it finds no GPU.")
    except ImportError as error:
        advice.append(str(error))
    facts["CIFAR-10"] = _cifar10(advice)
    return facts, advice


def _operator() -> str:
    from .. import kernels
    from ..kernels import build

    return f"{build.state()}; PADDLE_RESNET_KERNELS={kernels.mode()}"


def _cifar10(advice: list[str]) -> str:
    from ..data import load_cifar10
    from ..errors import DataError

    try:
        data = load_cifar10(download=False, allow_sample=False, notify=lambda line: None)
    except DataError:
        advice.append(
            "CIFAR-10 is not on this machine yet: a training fetches it, and so does "
            "`paddle-resnet data cifar10`."
        )
        return "only the sample inside the package"
    return f"verified, from {data.source}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
