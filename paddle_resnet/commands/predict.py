"""`paddle-resnet predict`: classify images."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import runtime
from . import _parser

EXAMPLES = """\
  paddle-resnet predict runs/quickstart-20250101-120000 cat.jpg dog.png
  paddle-resnet predict best.safetensors photos/ --top 3 --json
  paddle-resnet predict RUN cat.jpg --tta crops_flip
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "predict", "classify images", EXAMPLES, run)
    parser.add_argument("source", metavar="RUN_OR_WEIGHTS", help="a run folder or a weights file")
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="image files of any size, or folders of them"
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="answers (default: 5)")
    parser.add_argument(
        "--tta",
        choices=("none", "flip", "crops", "crops_flip"),
        default="none",
        help="average the answers to several views of each image (default: none)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON line per image")


def run(arguments: argparse.Namespace) -> int:
    """Classify and print; files that are no images are named at the end and give exit code 2."""
    import sys

    from ..data.pictures import find_images, read_image, shown
    from ..errors import DataError, UserError

    if arguments.top < 1:
        raise UserError(f"--top is {arguments.top}, expected 1 or more.")
    paths = find_images(arguments.images)
    runtime.import_paddle()
    from ..training.prediction import classify
    from ..weights import load_trained

    trained = load_trained(arguments.source)
    bad = 0
    for path in paths:
        try:
            pixels = read_image(path, trained.input_shape, trained.centre)
        except DataError as error:
            bad += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        answers = classify(trained, pixels, arguments.top, arguments.tta)
        if arguments.json:
            print(json.dumps({"image": shown(path), "top": answers}))
        else:
            print(
                f"{shown(path)}: "
                + ", ".join(f"{a['class']} {a['probability']:.1%}" for a in answers)
            )
    return 2 if bad else 0
