"""`paddle-resnet predict`: classify images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from .. import cpu_runtime
from . import _parser

#: Its weights are in the package.
DEFAULT = "resnet20"
#: In front of it, so that no file or folder hides it; see `models/find_weights.py`, which needs
#: Paddle.
BY_NAME = "pretrained:"
WEIGHTS = (".onnx", ".safetensors", ".pdparams", ".pth", ".pt", ".th")
HEATMAP_SUFFIX = ".heatmap.png"
#: A folder that holds one of these is a network and not a folder of images.
FOLDERS = ("config.yaml", "best.safetensors", "inference.json", "inference.pdmodel")

EXAMPLES = """\
  paddle-resnet predict cat.jpg             by the package's resnet20, trained on CIFAR-10
  paddle-resnet predict runs/quickstart-20250101-120000 cat.jpg dog.png
  paddle-resnet predict best.safetensors photos/ --top 3 --json
  paddle-resnet predict RUN cat.jpg --tta crops_flip
  paddle-resnet predict RUN photos/ --heatmap heat/    what each answer depends on
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
    parser.add_argument(
        "--heatmap",
        metavar="FOLDER",
        help="write each image into FOLDER with, at its side, the places that the first answer "
        "depends on (Grad-CAM)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON line per image")


def run(arguments: argparse.Namespace) -> int:
    """Classify and print; files that are no images are named at the end and give exit code 2."""
    import sys

    from ..data.folder.image_io import find_images, read_image, value_range_of
    from ..deploy.predictor import is_export
    from ..errors import PATH_LIMIT, DataError, UserError, for_display

    if arguments.top < 1:
        raise UserError(f"--top is {arguments.top}, expected 1 or more.")
    source, given = _split(arguments.paths)
    paths, notes = _without_heatmaps(*find_images(given), given)
    network = (_exported if is_export(source) else _trained)(source, arguments)
    value_range = network.value_range
    if value_range is None:
        value_range, more = value_range_of(paths)
        notes += more
    for note in notes:
        print(f"Notice: {note}", file=sys.stderr)
    heatmaps = None if arguments.heatmap is None else _Heatmaps(arguments.heatmap, network, source)
    bad = 0
    for path in paths:
        try:
            pixels = read_image(path, network.input_shape, network.centre, value_range)
        except DataError as error:
            bad += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        answers = network.classify(pixels)
        written = None if heatmaps is None else heatmaps.write(path, pixels, answers[0]["class"])
        if arguments.json:
            line = {"image": for_display(path, PATH_LIMIT), "top": answers}
            print(json.dumps(line if written is None else {**line, "heatmap": str(written)}))
        else:
            print(
                f"{for_display(path, PATH_LIMIT)}: "
                + ", ".join(f"{a['class']} {a['probability']:.1%}" for a in answers)
                + ("" if written is None else f"; heat map: {for_display(written, PATH_LIMIT)}")
            )
    return 2 if bad else 0


def _without_heatmaps(
    paths: list[Path], notes: list[str], given: list[str]
) -> tuple[list[Path], list[str]]:
    """Leave out heat maps that an earlier `predict --heatmap` wrote into a folder of images."""
    named = set(map(Path, given))
    kept = [p for p in paths if p in named or not p.name.endswith(HEATMAP_SUFFIX)]
    if len(kept) < len(paths):
        notes = [*notes, f"heat maps (*{HEATMAP_SUFFIX}) left out: {len(paths) - len(kept)}."]
    return kept, notes


class _Classifier(NamedTuple):
    """A network of ours, or an exported file."""

    input_shape: list[int]
    centre: float
    value_range: Optional[Sequence[float]]
    #: Takes uint8 ``[C, H, W]``.
    classify: Callable[[Any], list[dict[str, Any]]]
    #: Takes uint8 ``[C, H, W]`` and a class; returns float32 ``[H, W]``. None of exported files.
    heatmap: Optional[Callable[[Any, str], Any]] = None


class _Heatmaps:
    """Writes images with their heat maps into a folder.

    Raises:
        UserError: the network is an exported file, or the folder cannot be made.
    """

    def __init__(self, folder: str, network: _Classifier, source: str) -> None:
        from ..errors import UserError

        if not folder:
            raise UserError("--heatmap is empty, expected a folder for the heat maps.")
        if network.heatmap is None:
            raise UserError(
                f"--heatmap needs gradients: name the run folder or weights file that '{source}' "
                "was exported from."
            )
        self.folder, self.heatmap = Path(folder), network.heatmap
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"--heatmap: the folder '{folder}' cannot be made: {reason}.") from None
        self.taken: set[str] = set()

    def write(self, path: Path, pixels: Any, answer: str) -> Path:
        """Write ``NAME.heatmap.png``, or ``NAME-2.heatmap.png`` for a second image of that name.

        Raises:
            UserError: it cannot be written.
        """
        import io

        from PIL import Image

        from ..errors import PATH_LIMIT, UserError, for_display
        from ..io.atomic_files import atomic_write_bytes
        from ..pages.heat_overlay import side_by_side

        name, number = path.stem, 1
        while name.lower() in self.taken:
            number += 1
            name = f"{path.stem}-{number}"
        self.taken.add(name.lower())
        file = io.BytesIO()
        Image.fromarray(side_by_side(pixels, self.heatmap(pixels, answer))).save(file, "PNG")
        target = self.folder / f"{name}{HEATMAP_SUFFIX}"
        try:
            atomic_write_bytes(target, file.getvalue())
        except OSError as error:
            shown, reason = for_display(target, PATH_LIMIT), error.strerror or error
            raise UserError(f"the heat map '{shown}' cannot be written: {reason}.") from None
        return target


def _trained(source: str, arguments: argparse.Namespace) -> _Classifier:
    import sys

    from ..errors import PATH_LIMIT, UserError, for_display

    if arguments.runtime:
        raise UserError(f"--runtime belongs to exported files, and '{source}' is none.")
    cpu_runtime.import_paddle()
    from ..evaluation.classify import class_heatmap, classify
    from ..models import load_trained
    from ..models.precision import run_precision
    from ..runs.run_folder import RunFolder

    trained = load_trained(source)
    if not trained.classes:
        raise UserError(
            f"the network in '{for_display(source, PATH_LIMIT)}' has no classes (num_classes=0): "
            "it computes features, expected a network that classifies."
        )
    run_folder = RunFolder(source)
    config = run_folder.read_config() if run_folder.config.is_file() else None
    precision = run_precision(config, lambda line: print(line, file=sys.stderr))
    if source != arguments.paths[0]:
        print(
            f"by the package's {DEFAULT}, which knows {', '.join(trained.classes)}; for another "
            "network, name its run folder or weights file before the images.",
            file=sys.stderr,
        )
    value_range = trained.value_range
    if value_range is None and config is not None:
        value_range = config.data.value_range
    return _Classifier(
        trained.input_shape,
        trained.centre,
        value_range,
        lambda pixels: classify(trained, pixels, arguments.top, arguments.tta, precision),
        lambda pixels, name: class_heatmap(trained, pixels, trained.classes.index(name)),
    )


def _exported(source: str, arguments: argparse.Namespace) -> _Classifier:
    """Return an exported file in its runtime; ONNX files need no Paddle."""
    from ..deploy.manifest import top_classes
    from ..deploy.predictor import Predictor
    from ..errors import UserError

    if arguments.tta != "none":
        raise UserError("--tta belongs to run folders and weights files, not to exported files.")
    predictor = Predictor(source, runtime=arguments.runtime)
    facts = predictor.manifest
    return _Classifier(
        facts.input_shape,
        facts.centre,
        facts.value_range,
        lambda pixels: top_classes(
            predictor.probabilities(pixels[None])[0], facts.classes, arguments.top
        ),
    )


def _split(paths: list[str]) -> tuple[str, list[str]]:
    """Return the network, the first path where that is one, and the images.

    Raises:
        UserError: a network without images, a first path that is nothing at all, or an empty one.
    """
    from ..data.folder.file_walk import LeftOut, walk
    from ..errors import UserError, did_you_mean, for_display

    if "" in paths:  # an unset variable of a shell; as a path it would be the current folder
        raise UserError("a path is empty: expected the name of a network or of an image.")
    first, path = paths[0], Path(paths[0])
    names_weights = (
        path.suffix.lower() in WEIGHTS
        or first.startswith(BY_NAME)
        or (first == DEFAULT and not path.exists())
    )
    is_run = any((path / name).is_file() for name in FOLDERS)
    if path.is_dir() and len(paths) > 1 and not is_run:
        # One without images must be meant as a run's: the error is then about its weights.
        is_run = next(walk(path, LeftOut()), None) is None
    if names_weights or is_run:
        if len(paths) == 1:
            raise UserError(f"'{first}' is a network: name the images that it should classify.")
        return first, paths[1:]
    if not path.exists():
        raise UserError(
            f"there is no run folder or weights file '{for_display(first, 300)}', and no image of "
            "that name." + did_you_mean(first, [DEFAULT])
        )
    return BY_NAME + DEFAULT, paths
