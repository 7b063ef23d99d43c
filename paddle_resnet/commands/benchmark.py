"""`paddle-resnet benchmark`: speed, as a ratio to another side in the same run."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Callable

from .. import cpu_runtime
from ..errors import UserError
from . import _parser

EXAMPLES = """\
  paddle-resnet benchmark train            training steps: ours, Paddle as installed, PyTorch
  paddle-resnet benchmark train --model resnet20 --batch-size 128 --torch-python ~/torch/bin/python
  paddle-resnet benchmark infer --model resnet18 --stem imagenet --image-size 224
  paddle-resnet benchmark step             the CPU operator against plain Paddle, in one process
  paddle-resnet benchmark train --precision bfloat16 --compile    on a CPU that has units for it
  paddle-resnet benchmark step --profile   where the time of a step goes, layer by layer
  paddle-resnet benchmark step --candidates    every algorithm's time for each convolution
  paddle-resnet benchmark loader           our batches against paddle.io.DataLoader's, one core
  paddle-resnet benchmark formats runs/NAME    in every runtime that it can be exported to
  paddle-resnet benchmark runtime          a training step with and without this package imported
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(
        subparsers, "benchmark", "measure speed against Paddle as installed", EXAMPLES, run
    )
    parser.add_argument("what", choices=("train", "infer", "step", "loader", "runtime", "formats"))
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="of formats: as of `export`, or a network's name",
    )
    parser.add_argument("--data", metavar="PATH", help="of formats: as of `export`")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns (default: 5)")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="default: train, infer 64; loader 128; else 32"
    )
    parser.add_argument(
        "--stem",
        choices=("cifar", "imagenet"),
        help="not of loader (default: cifar, where the network can choose)",
    )
    parser.add_argument("--model", default="resnet50", help="of train, infer, step")
    parser.add_argument("--image-size", type=int, default=32, metavar="N", help="default: 32")
    layers = parser.add_mutually_exclusive_group()
    layers.add_argument("--profile", action="store_true", help="of step: time per layer")
    layers.add_argument(
        "--candidates", action="store_true", help="of step: times of all algorithms by convolution"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the CPU operator in train, infer, step (default: float32)",
    )
    parser.add_argument("--compile", action="store_true", help="also PyTorch under torch.compile")
    parser.add_argument("--torch-python", metavar="FILE", help="a Python that has PyTorch")
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    for name in ("rounds", "batch_size", "image_size"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected 1 or more.")
    for name in ("profile", "candidates"):
        if getattr(arguments, name) and arguments.what != "step":
            raise UserError(f"--{name} belongs to `benchmark step`, not to {arguments.what}.")
    if (arguments.source is None) == (arguments.what == "formats"):
        raise UserError("SOURCE belongs to `benchmark formats`, which needs one.")
    cpu_runtime.import_paddle()
    metrics, text = _MEASURES[arguments.what](arguments)
    metrics["cpu"] = cpu_runtime.cpu_model()
    print(json.dumps(metrics, indent=2) if arguments.json else text(metrics))
    return 0


def _options(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in ("rounds", "batch_size", *names)}
    return {name: value for name, value in given.items() if value is not None}


def _frameworks(arguments: argparse.Namespace) -> tuple[dict[str, Any], Callable]:
    from ..benchmark import framework_speed

    metrics = framework_speed.measure(
        arguments.what,
        compiled=arguments.compile,
        torch_python=arguments.torch_python,
        log=lambda line: print(line, file=sys.stderr, flush=True),
        **_options(arguments, "model", "stem", "image_size", "precision"),
    )
    return metrics, framework_speed.text


def _step(arguments: argparse.Namespace) -> tuple[dict[str, Any], Callable]:
    from ..benchmark import convolution_times, step_profile, step_speed

    options = _options(arguments, "model", "stem", "image_size", "precision")
    if arguments.candidates:
        del options["rounds"]  # each candidate has several calls of its own
        return convolution_times.measure(**options), convolution_times.text
    if arguments.profile:
        return step_profile.measure(**options), step_profile.text
    return step_speed.measure(**options), _two_sides(
        ours=f"CPU operator, {arguments.precision}", paddle="plain Paddle, all cores"
    )


def _loader(arguments: argparse.Namespace) -> tuple[dict[str, Any], Callable]:
    from ..benchmark.loader_speed import measure

    sides = _two_sides(ours="BatchLoader", paddle="paddle.io.DataLoader")
    return measure(**_options(arguments)), sides


def _runtime(arguments: argparse.Namespace) -> tuple[dict[str, Any], Callable]:
    from ..benchmark.cpu_runtime_speed import measure

    sides = _two_sides(ours="package imported first", stock="Paddle as installed")
    return measure(**_options(arguments, "stem")), sides


def _formats(arguments: argparse.Namespace) -> tuple[dict[str, Any], Callable]:
    from ..deploy import format_speed

    metrics = format_speed.measure(
        arguments.source,
        rounds=arguments.rounds,
        data=arguments.data,
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return metrics, format_speed.text


_MEASURES = {
    "train": _frameworks,
    "infer": _frameworks,
    "step": _step,
    "loader": _loader,
    "runtime": _runtime,
    "formats": _formats,
}


def _two_sides(**sides: str) -> Callable[[dict[str, Any]], str]:
    def text(metrics: dict[str, Any]) -> str:
        lines = [f"{name:<24} {metrics[key]:>12,.1f} images/s" for key, name in sides.items()]
        return "\n".join(lines) + (
            f"\nratio {metrics['ratio']:.2f} (median of {metrics['rounds']}; "
            f"{metrics['ratio_min']:.2f} to {metrics['ratio_max']:.2f}), {metrics['cpu']}"
        )

    return text
