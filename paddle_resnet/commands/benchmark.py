"""`paddle-resnet benchmark`: how fast, as a ratio against the other side in the same run."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import runtime
from ..errors import UserError
from . import _parser

EXAMPLES = """\
  paddle-resnet benchmark loader           our batches against paddle.io.DataLoader's, one core
  paddle-resnet benchmark runtime          a training step with and without this package imported
  paddle-resnet benchmark runtime --stem imagenet --batch-size 64 --rounds 9 --json
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "benchmark", "measure speed against Paddle as installed", EXAMPLES, run
    )
    parser.add_argument("what", choices=("loader", "runtime"))
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns (default: 5)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="default: 128, runtime: 32")
    parser.add_argument("--stem", choices=("cifar", "imagenet"), default="cifar", help="of runtime")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if arguments.rounds < 1:
        raise UserError(f"--rounds is {arguments.rounds}, expected 1 or more.")
    options = {"rounds": arguments.rounds}
    if arguments.batch_size is not None:
        if arguments.batch_size < 1:
            raise UserError(f"--batch-size is {arguments.batch_size}, expected 1 or more.")
        options["batch_size"] = arguments.batch_size
    runtime.import_paddle()
    if arguments.what == "loader":
        from ..analysis.loader_speed import measure

        sides = {"ours": "BatchLoader", "paddle": "paddle.io.DataLoader"}
        figures = measure(**options)
    else:
        from ..analysis.runtime_speed import measure

        sides = {"ours": "package imported first", "stock": "Paddle as installed"}
        figures = measure(stem=arguments.stem, **options)
    figures["cpu"] = runtime.cpu_model()
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return 0
    for key, name in sides.items():
        print(f"{name:<24} {figures[key]:>12,.1f} images/s")
    print(
        f"ratio {figures['ratio']:.2f} (median of {figures['rounds']}; "
        f"{figures['ratio_min']:.2f} to {figures['ratio_max']:.2f}), {figures['cpu']}"
    )
    return 0
