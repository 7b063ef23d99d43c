"""`paddle-resnet evaluate`: accuracy and loss of a trained network."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import cpu_runtime
from . import _parser

EXAMPLES = """\
  paddle-resnet evaluate runs/quickstart-20250101-120000
  paddle-resnet evaluate best.safetensors --split test --json
  paddle-resnet evaluate RUN --weights last --data ~/cifar-10-python.tar.gz
  paddle-resnet evaluate RUN --data other_photos --tta flip
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
        "--split",
        choices=("test", "train"),
        default="test",
        help="test images, or those that a run was trained on (default: test)",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="other images: an archive of CIFAR, a folder, a list (default: the run's own)",
    )
    parser.add_argument("--batch-size", type=int, default=250, metavar="N", help="default: 250")
    parser.add_argument(
        "--tta",
        choices=("none", "flip", "shifts_flip", "crops", "crops_flip"),
        help="average the answers to several views of each image (default: as the run was tested, "
        "of a weights file: none)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    cpu_runtime.import_paddle()
    import sys

    from ..evaluation.eval_dataset import eval_loader
    from ..evaluation.evaluate import evaluate_loader
    from ..models import load_trained
    from ..models.precision import run_precision
    from ..runs.run_folder import RunFolder

    trained = load_trained(arguments.source, arguments.weights)
    run_folder = RunFolder(arguments.source)
    config = run_folder.read_config() if run_folder.config.is_file() else None
    kind = arguments.tta
    if kind is None:
        kind = "none" if config is None else config.test.tta

    def notify(line: str) -> None:
        print(line, file=sys.stderr)

    loader, is_sample = eval_loader(
        trained,
        arguments.split,
        arguments.batch_size,
        config=config,
        root=arguments.data,
        notify=notify,
    )
    # In what the run itself was tested in.
    precision = run_precision(config, notify)
    evaluation = evaluate_loader(trained.network, loader, tta=kind, precision=precision)
    figures = {
        "weights": str(trained.path),
        "model": trained.model,
        "split": arguments.split,
        "is_sample": is_sample,
        "tta": kind,
        **evaluation.summary(),
    }
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        sample = " (of the bundled sample)" if is_sample else ""
        own = ", as the run was tested" if arguments.tta is None and config is not None else ""
        print(
            f"{trained.model} on {figures['images']:,} {arguments.split} images{sample}: "
            f"{evaluation.sentence()}; views: {kind}{own}; "
            f"{figures['images_per_second']:,.1f} images/s"
        )
    return 0
