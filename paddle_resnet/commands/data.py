"""`paddle-resnet data`: fetch a data set ahead of time."""

from __future__ import annotations

import argparse
from typing import Any

from . import _parser

EXAMPLES = """\
  paddle-resnet data cifar10
  paddle-resnet data cifar10 --from ~/Downloads/cifar-10-python.tar.gz
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "data", "fetch a data set ahead of time", EXAMPLES, run)
    parser.add_argument("name", choices=("cifar10",), help="the data set")
    parser.add_argument(
        "--from", dest="root", metavar="PATH", help="take it from this archive or folder"
    )
    parser.add_argument("--no-download", action="store_true", help="do not use the network")


def run(arguments: argparse.Namespace) -> int:
    """Fetch, verify and say where it is."""
    from ..data import fetch

    fetched = fetch(arguments.root, download=not arguments.no_download)
    verb = "written to" if fetched.written else "is already in"
    print(f"CIFAR-10 from {fetched.source}: verified, {verb} {fetched.path}")
    print(
        f"{fetched.images['train']:,} training and {fetched.images['test']:,} test images, "
        f"{fetched.size / 1e6:,.0f} MB"
    )
    for name, digest in fetched.sha256.items():
        print(f"  {name}: sha256 {digest}")
    return 0
