"""`paddle-resnet build`: the CPU operator ahead of time, for images and offline machines."""

from __future__ import annotations

import argparse
from typing import Any

from . import _parser

EXAMPLES = """\
  paddle-resnet build
  PADDLE_RESNET_CACHE=/opt/cache paddle-resnet build     into a folder that others may read
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "build", "compile the CPU operator ahead of its first use", EXAMPLES, run
    )
    parser.add_argument("--force", action="store_true", help="also where it is there already")


def run(arguments: argparse.Namespace) -> int:
    """Build, load, and print where the library is; exit code 2 if it cannot be used."""
    from ..cpu_runtime import import_paddle

    import_paddle()
    from .. import kernels
    from ..kernels import build

    kernels.mode()  # an unknown mode is an error here too
    path = build.build(force=arguments.force)
    with kernels.use("require"):
        build.library()
    print(f"the CPU operator is built: {path}")
    return 0
