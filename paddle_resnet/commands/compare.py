"""`paddle-resnet compare`: two networks side by side in one run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .. import cpu_runtime
from ..errors import UserError
from . import _parser

EXAMPLES = """\
  paddle-resnet compare resnet50                             ours beside paddle.vision's
  paddle-resnet compare resnet50 --html compare.html --json compare.json
  paddle-resnet compare resnet18 --stem cifar --train 5m
  paddle-resnet compare resnet50 resnext50_32x4d --image-size 64
  paddle-resnet compare paddle.vision:resnet18 paddle.vision:vgg11
  paddle-resnet compare runs/quickstart-20250101-120000 paddle.vision:resnet50
  paddle-resnet compare resnet18:kuangliu.pth resnet18 --stem cifar
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "compare", "two networks side by side in one run", EXAMPLES, run
    )
    parser.add_argument(
        "a",
        metavar="A",
        help="a network, paddle.vision:NAME, a run folder or its weights file, or NAME:FILE, a "
        "network with weights from any framework",
    )
    parser.add_argument("b", metavar="B", nargs="?", help="another one (default: paddle.vision:A)")
    whole = {"type": int, "metavar": "N"}
    parser.add_argument(
        "--stem", choices=("imagenet", "cifar"), help="of both (default: as they come)"
    )
    parser.add_argument("--num-classes", **whole, help="outputs, 10 or more (default: 10)")
    parser.add_argument("--batch-size", **whole, default=32, help="default: 32")
    parser.add_argument(
        "--image-size", **whole, help="default: 64, of networks for CIFAR-10 its own 32"
    )
    parser.add_argument("--steps", **whole, default=10, help="of the loss curve (default: 10)")
    parser.add_argument("--rounds", **whole, default=5, help="that are timed (default: 5)")
    parser.add_argument("--seed", **whole, default=0, help="of weights and images (default: 0)")
    parser.add_argument(
        "--train",
        metavar="BUDGET",
        help="train each for this time, such as 5m, on 32 pixels, and test it",
    )
    parser.add_argument("--data", metavar="PATH", help="an archive or folder that holds CIFAR-10")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="the measurements; no FILE: print them"
    )
    parser.add_argument("--html", metavar="FILE", help="one page with plots")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, and write what is asked for."""
    cpu_runtime.import_paddle()
    from ..compare.comparison import compare
    from ..compare.comparison_page import write_comparison
    from ..compare.table import as_text
    from ..io.atomic_files import atomic_write_json

    for path in (arguments.html, arguments.json):
        # Checked before minutes of measuring.
        if path not in (None, "-") and not Path(path).resolve().parent.is_dir():
            raise UserError(f"there is no folder for '{path}'.")
    options = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("command", "run", "a", "b", "json", "html")
    }
    found = compare(
        arguments.a,
        arguments.b,
        log=lambda line: print(line, file=sys.stderr, flush=True),
        **options,
    )
    if arguments.json == "-":
        print(json.dumps(found, indent=2))
    else:
        print(as_text(found))
        if arguments.json:
            atomic_write_json(arguments.json, found)
    if arguments.html:
        print(f"page: {write_comparison(found, arguments.html)}", file=sys.stderr)
    return 0
