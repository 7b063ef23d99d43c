"""`paddle-resnet count`: layers, parameters and multiplications of a network."""

from __future__ import annotations

import argparse
import json
from typing import Any, Optional

from .. import cpu_runtime
from ..errors import ModelError
from . import _parser

EXAMPLES = """\
  paddle-resnet count resnet50
  paddle-resnet count resnet18 --stem cifar --classes 10 --input 3x32x32
  paddle-resnet count resnet110 --shortcut B --summary
  paddle-resnet count resnet50 --json
  paddle-resnet count --inception              what a 1x1 convolution in front of a 5x5 saves
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "count", "layers, parameters and multiplications of a network", EXAMPLES, run
    )
    parser.add_argument("name", metavar="NETWORK", nargs="?", help="see: paddle-resnet models")
    parser.add_argument("--input", metavar="CxHxW", help="of one image (default: its own)")
    parser.add_argument("--classes", type=int, metavar="N", help="outputs (default: its own)")
    parser.add_argument("--stem", help="imagenet, cifar, deep or keras (default: its own)")
    parser.add_argument("--shortcut", help="A, B, C, D, biased or keras (default: its own)")
    parser.add_argument("--summary", action="store_true", help="print the sums alone")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument(
        "--inception", action="store_true", help="the cost of an Inception module's 5x5 branch"
    )


def run(arguments: argparse.Namespace) -> int:
    """Count and print."""
    if arguments.inception:
        return _inception(arguments.json)
    if arguments.name is None:
        raise ModelError("count needs a NETWORK, see paddle-resnet models; or --inception.")
    cpu_runtime.import_paddle()
    import paddle

    from ..models import count, create_model, model_info
    from ..models.count_table import as_dict, as_text, summary

    info = model_info(arguments.name)
    shape = _shape(arguments.input) or (3, info.input_size, info.input_size)
    given = {
        "num_classes": arguments.classes,
        "in_channels": shape[0] if arguments.input else None,
        "stem": arguments.stem,
        "shortcut": arguments.shortcut,
    }
    options = {name: value for name, value in given.items() if value is not None}
    with paddle.LazyGuard():  # shapes are enough
        network = create_model(arguments.name, **options)
    try:
        table = count(network, shape)
    except MemoryError:
        raise ModelError(f"images of {'x'.join(map(str, shape))} are beyond the memory.") from None
    if arguments.json:
        said = {"network": arguments.name, "input": list(shape), "options": options}
        print(json.dumps({**said, **as_dict(table)}))
        return 0
    title = f"{arguments.name}, one image of {'x'.join(map(str, shape))}"
    if arguments.summary:
        print(f"{title}: {table.total('parameters'):,} parameters, {table.total('macs'):,} MACs.")
        print(summary(table))
    else:
        print(as_text(table, title))
    return 0


def _shape(text: Optional[str]) -> Optional[tuple[int, ...]]:
    """Parse ``3x224x224``; None if nothing is given."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise ModelError(f"--input is '{text}', expected channels, height, width as in 3x224x224.")
    return tuple(int(part) for part in parts)


def _inception(as_json: bool) -> int:
    from ..models.count_table import inception_costs

    costs = inception_costs()
    if as_json:
        print(json.dumps(costs))
        return 0
    print("The 5x5 branch of an Inception module, 28x28x192 to 32 channels, in multiplications:\n")
    for key, what in (
        ("direct", "5x5 from 192 channels to 32"),
        ("reduce", "1x1 from 192 channels to 16"),
        ("then", "5x5 from 16 channels to 32"),
        ("bottleneck", "both of these together"),
    ):
        print(f"{what:<30}{costs[key]:>12,}")
    print(f"\nThrough the bottleneck {costs['direct'] / costs['bottleneck']:.2f} times fewer.")
    return 0
