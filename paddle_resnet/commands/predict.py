"""`paddle-resnet predict`: classify images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Callable

from .. import cpu_runtime
from . import _parser

#: Its weights are in the package.
DEFAULT = "resnet20"
WEIGHTS = (".onnx", ".safetensors", ".pdparams", ".pth", ".pt", ".th")
#: A folder that holds one of these is a network and not a folder of images.
FOLDERS = ("config.yaml", "best.safetensors", "inference.json", "inference.pdmodel")
#: Takes a path, returns the answers to it.
Classify = Callable[[Path], "list[dict[str, Any]]"]

EXAMPLES = """\
  paddle-resnet predict cat.jpg             by the package's resnet20, trained on CIFAR-10
  paddle-resnet predict runs/quickstart-20250101-120000 cat.jpg dog.png
  paddle-resnet predict best.safetensors photos/ --top 3 --json
  paddle-resnet predict RUN cat.jpg --tta crops_flip
  paddle-resnet predict exports/resnet20/resnet20.onnx cat.jpg    without Paddle
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "predict", "classify images", EXAMPLES, run)
    parser.usage = "paddle-resnet predict [-h] [options] [RUN_OR_WEIGHTS] IMAGE [IMAGE ...]"
    parser.add_argument(
        "paths",
        metavar="IMAGE",
        nargs="+",
        help="image files of any size, or folders of them; in front of them a run folder, a "
        f"weights file or an exported file (default: {DEFAULT}, trained on CIFAR-10, which is "
        "in the package)",
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="answers (default: 5)")
    parser.add_argument(
        "--tta",
        choices=("none", "flip", "shifts_flip", "crops", "crops_flip"),
        default="none",
        help="average the answers to several views of each image (default: none)",
    )
    parser.add_argument(
        "--runtime",
        choices=("onnxruntime", "openvino"),
        help="of an exported file (default: onnxruntime)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON line per image")


def run(arguments: argparse.Namespace) -> int:
    """Classify and print; files that are no images are named at the end and give exit code 2."""
    import sys

    from ..data.folder.image_io import find_images, for_display
    from ..deploy.predictor import is_export
    from ..errors import DataError, UserError

    if arguments.top < 1:
        raise UserError(f"--top is {arguments.top}, expected 1 or more.")
    source, given = _split(arguments.paths)
    paths = find_images(given)
    classify = (_exported if is_export(source) else _trained)(source, arguments)
    bad = 0
    for path in paths:
        try:
            answers = classify(path)
        except DataError as error:
            bad += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        if arguments.json:
            print(json.dumps({"image": for_display(path), "top": answers}))
        else:
            print(
                f"{for_display(path)}: "
                + ", ".join(f"{a['class']} {a['probability']:.1%}" for a in answers)
            )
    return 2 if bad else 0


def _trained(source: str, arguments: argparse.Namespace) -> Classify:
    """Return what classifies a file with a network of ours."""
    import sys

    from ..data.folder.image_io import read_image
    from ..errors import UserError

    if arguments.runtime:
        raise UserError(f"--runtime belongs to exported files, and '{source}' is none.")
    cpu_runtime.import_paddle()
    from ..evaluation.classify import classify
    from ..models import load_trained
    from ..models.precision import run_precision
    from ..runs.run_folder import RunFolder

    trained = load_trained(source)
    run_folder = RunFolder(source)
    config = run_folder.read_config() if run_folder.config.is_file() else None
    precision = run_precision(config, lambda line: print(line, file=sys.stderr))
    if source != arguments.paths[0]:
        print(
            f"by the package's {source}, which knows {', '.join(trained.classes)}; for another "
            "network, name its run folder or weights file before the images.",
            file=sys.stderr,
        )

    def answer(path: Path) -> list[dict[str, Any]]:
        pixels = read_image(path, trained.input_shape, trained.centre)
        return classify(trained, pixels, arguments.top, arguments.tta, precision)

    return answer


def _exported(source: str, arguments: argparse.Namespace) -> Classify:
    """Return what classifies a file with an exported one; ONNX files need no Paddle."""
    from ..deploy.predictor import Predictor
    from ..errors import UserError

    if arguments.tta != "none":
        raise UserError("--tta belongs to run folders and weights files, not to exported files.")
    predictor = Predictor(source, runtime=arguments.runtime)
    return lambda path: predictor.predict(path, arguments.top)[0]


def _split(paths: list[str]) -> tuple[str, list[str]]:
    """Return the network, the first path where that is one, and the images.

    Raises:
        UserError: a network without images, or a first path that is nothing at all.
    """
    from ..data.folder.image_io import SUFFIXES
    from ..errors import UserError, did_you_mean

    first, path = paths[0], Path(paths[0])
    names_weights = path.suffix.lower() in WEIGHTS or (first == DEFAULT and not path.exists())
    is_run = any((path / name).is_file() for name in FOLDERS)
    if path.is_dir() and len(paths) > 1 and not is_run:
        # One without images must be meant as a run's: the error is then about its weights.
        is_run = not any(p.suffix.lower() in SUFFIXES for p in path.rglob("*"))
    if names_weights or is_run:
        if len(paths) == 1:
            raise UserError(f"'{first}' is a network: name the images that it should classify.")
        return first, paths[1:]
    if not path.exists():
        raise UserError(
            f"there is no run folder or weights file '{first}', and no image of that name."
            + did_you_mean(first, [DEFAULT])
        )
    return DEFAULT, paths
