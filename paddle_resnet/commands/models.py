"""`paddle-resnet models`: list the networks."""

from __future__ import annotations

import argparse
from typing import Any

from .. import runtime
from ..errors import ModelError
from . import _parser

EXAMPLES = """\
  paddle-resnet models
  paddle-resnet models 'resnet1*'
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "models", "list the networks", EXAMPLES, run)
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern (default: *)")


def run(arguments: argparse.Namespace) -> int:
    """Print the names."""
    runtime.import_paddle()
    from ..models import list_models

    names = list_models(arguments.pattern)
    if not names:
        raise ModelError(f"no network matches '{arguments.pattern}'.")
    print("\n".join(names))
    return 0
