"""`paddle-resnet data`: fetch a data set ahead of time, or describe one's own."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import _parser

EXAMPLES = """\
  paddle-resnet data cifar10
  paddle-resnet data cifar100 --from ~/Downloads/cifar-100-python.tar.gz
  paddle-resnet data folder my_photos          counts per class, corrupt files, copies
  paddle-resnet data folder photos.csv --json
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "data", "fetch a data set ahead of time, or describe one's own", EXAMPLES, run
    )
    parser.add_argument("name", choices=("cifar10", "cifar100", "folder"), help="the data set")
    parser.add_argument("path", nargs="?", help="of a folder: the folder, or a list of images")
    parser.add_argument(
        "--from", dest="root", metavar="PATH", help="take CIFAR from this archive or folder"
    )
    parser.add_argument("--no-download", action="store_true", help="do not use the network")
    parser.add_argument("--json", action="store_true", help="of a folder: print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Fetch and verify, or describe a folder; corrupt images give exit code 2."""
    from ..errors import UserError

    if arguments.name == "folder":
        if not arguments.path:
            raise UserError("name the folder or the list: paddle-resnet data folder my_photos")
        return _folder(arguments)
    if arguments.path:
        raise UserError(
            f"{arguments.name} takes no '{arguments.path}'; did you mean --from {arguments.path}?"
        )
    return _cifar(arguments)


def _cifar(arguments: argparse.Namespace) -> int:
    from ..data import fetch
    from ..data.cifar.cifar100 import fetch_cifar100

    fetch_it = fetch if arguments.name == "cifar10" else fetch_cifar100
    fetched = fetch_it(arguments.root, download=not arguments.no_download)
    verb = "written to" if fetched.written else "is already in"
    name = arguments.name.upper().replace("CIFAR", "CIFAR-")
    print(f"{name} from {fetched.source}: verified, {verb} {fetched.path}")
    print(
        f"{fetched.images['train']:,} training and {fetched.images['test']:,} test images, "
        f"{fetched.size / 1e6:,.0f} MB"
    )
    # What is checked: CIFAR-10's arrays, CIFAR-100's official files.
    kind = "sha256" if arguments.name == "cifar10" else "md5"
    for file, digest in getattr(fetched, kind).items():
        print(f"  {file}: {kind} {digest}")
    return 0


def _folder(arguments: argparse.Namespace) -> int:
    import sys

    from ..data.folder.folder_report import describe, lines
    from ..data.folder.open_dataset import open_dataset
    from ..data.folder.verify_images import verify_images

    index = open_dataset(arguments.path)
    verified = verify_images(
        index.paths, index.root, notify=lambda line: print(line, file=sys.stderr)
    )
    report = describe(index, verified)
    print(json.dumps(report, indent=2) if arguments.json else "\n".join(lines(report)))
    return 2 if verified.corrupt else 0
