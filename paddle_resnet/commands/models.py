"""`paddle-resnet models`: list the networks."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from .. import cpu_runtime
from ..errors import ModelError, did_you_mean
from . import _parser

EXAMPLES = """\
  paddle-resnet models
  paddle-resnet models 'resnet1*'
  paddle-resnet models --names
  paddle-resnet models 'resnext*' --json
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "models", "list the networks", EXAMPLES, run)
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern (default: *)")
    parser.add_argument("--names", action="store_true", help="print the names alone, at once")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the networks, a row each."""
    cpu_runtime.import_paddle()
    from ..models import list_models, model_info

    names = list_models(arguments.pattern)
    if not names:
        hint = did_you_mean(arguments.pattern, list_models())
        raise ModelError(f"no network matches '{arguments.pattern}'.{hint}")
    if arguments.names:
        print("\n".join(names))
        return 0
    if arguments.json:
        print(json.dumps([dataclasses.asdict(model_info(name)) for name in names], indent=2))
        return 0
    width = max(map(len, [*names, "network"]))
    print(f"{'network':<{width}}   parameters      M MACs  convs  proj.  FC  input  source")
    for name in names:
        info = model_info(name)
        # A row as soon as it is counted: all of them together take some seconds.
        print(
            f"{name:<{width}}  {info.parameters:>11,}  {info.macs / 1e6:>10,.2f}"
            f"  {info.convolutions:>5}  {info.projections:>5}  {info.linears:>2}"
            f"  {info.input_size:>5}  {info.source}",
            flush=True,
        )
    print("\nTrainable parameters; a MAC is a multiplication and the addition behind it, for one")
    print("image of the input's size; convolutions on the main path, projections beside it.")
    return 0
