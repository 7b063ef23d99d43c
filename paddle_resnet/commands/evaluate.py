"""`paddle-resnet evaluate`: accuracy and loss of a trained network."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import runtime
from ..errors import DataError
from . import _parser

EXAMPLES = """\
  paddle-resnet evaluate runs/quickstart-20250101-120000
  paddle-resnet evaluate best.safetensors --split test --json
  paddle-resnet evaluate RUN --weights last --data ~/cifar-10-python.tar.gz
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "evaluate", "accuracy and loss of a trained network", EXAMPLES, run
    )
    parser.add_argument("source", metavar="RUN_OR_WEIGHTS", help="a run folder or a weights file")
    parser.add_argument(
        "--weights", choices=("best", "last"), default="best", help="of a run (default: best)"
    )
    parser.add_argument(
        "--split", choices=("test", "train"), default="test", help="images (default: test)"
    )
    parser.add_argument("--data", metavar="PATH", help="an archive or folder that holds CIFAR-10")
    parser.add_argument("--batch-size", type=int, default=250, metavar="N", help="default: 250")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    runtime.import_paddle()
    import sys

    from ..data import BatchLoader, load_cifar10
    from ..training.evaluation import evaluate
    from ..weights import load_trained

    trained = load_trained(arguments.source, arguments.weights)
    data = load_cifar10(arguments.data, notify=lambda line: print(line, file=sys.stderr))
    images, labels = (
        (data.test_images, data.test_labels)
        if arguments.split == "test"
        else (data.train_images, data.train_labels)
    )
    if list(trained.classes) != list(data.classes):
        raise DataError(
            f"'{arguments.source}' knows the classes {', '.join(trained.classes)}: it was not "
            "trained on CIFAR-10."
        )
    loader = BatchLoader(images, labels, arguments.batch_size, mean=trained.mean, std=trained.std)
    figures = {
        "weights": str(trained.path),
        "model": trained.model,
        "split": arguments.split,
        "is_sample": data.is_sample,
        **evaluate(trained.network, loader).summary(),
    }
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        sample = " (of the bundled sample)" if data.is_sample else ""
        print(
            f"{trained.model} on {figures['images']:,} {arguments.split} images{sample}: "
            f"accuracy {figures['acc_top1']:.2%}, top-5 {figures['acc_top5']:.2%}, "
            f"loss {figures['loss']:.4f}, {figures['images_per_second']:,.1f} images/s"
        )
    return 0
