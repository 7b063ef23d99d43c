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
  paddle-resnet evaluate exports/resnet20/resnet20.int8.onnx
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "evaluate", "accuracy and loss of a trained network", EXAMPLES, run
    )
    parser.add_argument(
        "source", metavar="RUN_OR_WEIGHTS", help="a run folder, a weights file or an exported file"
    )
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
    parser.add_argument(
        "--runtime",
        choices=("onnxruntime", "openvino"),
        help="of an exported file (default: onnxruntime)",
    )
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    from ..deploy.predictor import is_export
    from ..errors import UserError

    if arguments.batch_size < 1:
        raise UserError(f"--batch-size is {arguments.batch_size}, expected 1 or more.")
    cpu_runtime.import_paddle()
    if is_export(arguments.source):
        return _run_export(arguments)
    if arguments.runtime:
        raise UserError(f"--runtime belongs to exported files, and '{arguments.source}' is none.")
    import sys

    from ..evaluation.eval_dataset import eval_loader
    from ..evaluation.evaluate import evaluate_loader
    from ..models import load_trained
    from ..models.precision import run_precision
    from ..runs.run_folder import RunFolder

    trained = load_trained(arguments.source, arguments.weights)
    run_folder = RunFolder(arguments.source)
    config = run_folder.read_config() if run_folder.config.is_file() else None
    tta = arguments.tta
    if tta is None:
        tta = "none" if config is None else config.test.tta

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
    # The precision of the run's own test.
    precision = run_precision(config, notify)
    evaluation = evaluate_loader(trained.network, loader, tta=tta, precision=precision)
    metrics = {
        "weights": str(trained.path),
        "model": trained.model,
        "split": arguments.split,
        "is_sample": is_sample,
        "tta": tta,
        **evaluation.summary(),
    }
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        sample = " (of the bundled sample)" if is_sample else ""
        own = ", as the run was tested" if arguments.tta is None and config is not None else ""
        print(
            f"{trained.model} on {metrics['images']:,} {arguments.split} images{sample}: "
            f"{evaluation.sentence()}; views: {tta}{own}; "
            f"{metrics['images_per_second']:,.1f} images/s"
        )
    return 0


def _run_export(arguments: argparse.Namespace) -> int:
    """Evaluate an exported file in its runtime and print."""
    import sys

    from ..deploy.evaluate_export import evaluate_export
    from ..deploy.predictor import Predictor
    from ..errors import UserError

    if arguments.tta not in (None, "none"):
        raise UserError("--tta belongs to run folders and weights files, not to exported files.")
    predictor = Predictor(arguments.source, runtime=arguments.runtime)
    evaluation, is_sample = evaluate_export(
        predictor,
        arguments.split,
        arguments.batch_size,
        root=arguments.data,
        log=lambda line: print(line, file=sys.stderr),
    )
    metrics = {
        "weights": str(predictor.path),
        "model": predictor.manifest.model,
        "precision": predictor.manifest.precision,
        "runtime": predictor.runtime.name,
        "split": arguments.split,
        "is_sample": is_sample,
        **evaluation.summary(),
    }
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        sample = " (of the bundled sample)" if is_sample else ""
        print(
            f"{metrics['model']} {metrics['precision']} in {metrics['runtime']} on "
            f"{metrics['images']:,} {arguments.split} images{sample}: {evaluation.sentence()}; "
            f"{metrics['images_per_second']:,.1f} images/s"
        )
    return 0
