"""`paddle-resnet export`: a network as a file for other runtimes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import cpu_runtime
from . import _parser

EXAMPLES = """\
  paddle-resnet export resnet20                     exports/resnet20/resnet20.onnx, with proof
  paddle-resnet export runs/NAME --precision int8   smaller and faster, calibrated on its data
  paddle-resnet export runs/NAME --format paddle    for Paddle Inference and PaddleX
  paddle-resnet export runs/NAME --format web       one page that classifies without a network
  paddle-resnet predict exports/resnet20/resnet20.onnx cat.jpg
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "export", "a network as a file for other runtimes", EXAMPLES, run
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a run folder, a weights file, or the name of a network that has weights",
    )
    parser.add_argument("--format", default="onnx", help="onnx, paddle or web (default: onnx)")
    parser.add_argument("--precision", default="float32", help="float32 or int8 (default: float32)")
    parser.add_argument("--out", metavar="DIR", help="default: exports/NAME")
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="images for calibration and proof: an archive of CIFAR, a folder, a list "
        "(default: the run's own)",
    )
    parser.add_argument(
        "--calibrate", type=int, default=500, metavar="N", help="training images (default: 500)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of their choice")


def run(arguments: argparse.Namespace) -> int:
    """Export."""
    cpu_runtime.import_paddle()
    from ..deploy.export import export

    with _cleaned_up_after_sigterm():
        export(
            arguments.source,
            arguments.out,
            format=arguments.format,
            precision=arguments.precision,
            data=arguments.data,
            calibrate=arguments.calibrate,
            seed=arguments.seed,
            log=lambda line: print(line, file=sys.stdout, flush=True),
        )
    return 0


@contextmanager
def _cleaned_up_after_sigterm() -> Iterator[None]:
    """Let SIGTERM raise, so that the files in the making are removed, also where Paddle has a
    handler of its own."""

    def stop(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
