"""`paddle-resnet count`: layers, parameters and multiplications of a network."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import runtime
from ..errors import ModelError
from . import _parser

EXAMPLES = """\
  paddle-resnet count resnet50
  paddle-resnet count resnet18 --stem cifar --classes 10 --size 32
  paddle-resnet count resnet110 --shortcut B --summary
  paddle-resnet count resnet50 --json
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "count", "layers, parameters and multiplications of a network", EXAMPLES, run
    )
    parser.add_argument("name", metavar="NETWORK", help="see: paddle-resnet models")
    parser.add_argument("--size", type=int, metavar="N", help="of the image (default: its own)")
    parser.add_argument("--classes", type=int, metavar="N", help="outputs (default: its own)")
    parser.add_argument("--channels", type=int, metavar="N", help="of the image (default: 3)")
    parser.add_argument("--stem", help="imagenet, cifar, deep or keras (default: its own)")
    parser.add_argument("--shortcut", help="A, B, C, D, biased or keras (default: its own)")
    parser.add_argument("--summary", action="store_true", help="print the sums alone")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Count and print."""
    runtime.import_paddle()
    import paddle

    from ..analysis.count import as_dict, as_text, summary
    from ..models import count, create_model, model_info

    given = {
        "num_classes": arguments.classes,
        "in_channels": arguments.channels,
        "stem": arguments.stem,
        "shortcut": arguments.shortcut,
    }
    options = {name: value for name, value in given.items() if value is not None}
    size = model_info(arguments.name).input_size if arguments.size is None else arguments.size
    if size < 1:
        raise ModelError(f"--size must be at least 1 pixel, got {size}.")
    with paddle.LazyGuard():  # shapes are enough
        network = create_model(arguments.name, **options)
    table = count(network, (arguments.channels or 3, size, size))
    if arguments.json:
        print(json.dumps({"network": arguments.name, "options": options, **as_dict(table)}))
        return 0
    title = f"{arguments.name}, one image of {size}x{size}"
    if arguments.summary:
        print(f"{title}: {table.total('parameters'):,} parameters, {table.total('macs'):,} MACs.")
        print(summary(table))
    else:
        print(as_text(table, title))
    return 0
