"""`paddle-resnet train`: train a network by a recipe."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from .. import cpu_runtime
from ..config import Config, list_recipes, load_config
from ..errors import UserError
from ..io import console
from . import _parser

DEFAULT_RECIPE = "quickstart"

EXAMPLES = """\
  paddle-resnet train                                       the quickstart: five minutes
  paddle-resnet train -c resnet50_cifar10 -o train.budget=20m
  paddle-resnet train -c my_recipe.yaml -o optimizer.lr=0.05 -o train.epochs=30
  paddle-resnet train -o model.options.stem=cifar -o train.batch_size=128
  paddle-resnet train --resume runs/quickstart-20250101-120000
  paddle-resnet train -o run.name=mine -o train.resume=auto   begin, or resume where it stopped
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "train", "train a network by a recipe", EXAMPLES, run)
    parser.add_argument(
        "-c",
        "--config",
        metavar="RECIPE",
        help=f"a YAML file or one of: {', '.join(list_recipes())} (default: {DEFAULT_RECIPE})",
    )
    parser.add_argument(
        "-o",
        "--override",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one key of the recipe, such as train.budget=10m; may be given again",
    )
    parser.add_argument("--resume", metavar="RUN", help="resume the run in this folder")
    parser.add_argument(
        "--show", action="store_true", help="print the resolved recipe and do nothing else"
    )


def learning_rates(config: Config) -> list[str]:
    """Return the rate over the training, and the parameters that have a multiplier."""
    from ..optim.schedules import make_schedule

    schedule = make_schedule(config.schedule, config.train.epochs)
    fractions = sorted({0.0, config.schedule.warmup, 0.25, 0.5, 0.75, 1.0})
    rates = (f"{config.optimizer.lr * schedule(each):.4g} at {each:.0%}" for each in fractions)
    lines = [f"learning rate: {', '.join(rates)}"]
    multipliers = [f"{key} {value:g}" for key, value in config.optimizer.lr_multipliers.items()]
    if config.optimizer.layer_decay != 1:
        multipliers.append(f"each block {config.optimizer.layer_decay:g} of the next one's")
    if multipliers:
        lines.append(f"multipliers: {', '.join(multipliers)}")
    return lines


def run(arguments: argparse.Namespace) -> int:
    """Train, write the report, and print the paths."""
    if arguments.resume and (arguments.config or arguments.override):
        raise UserError("--resume takes the run's own recipe: leave -c and -o out.")
    recipe = arguments.config or DEFAULT_RECIPE
    config = None if arguments.resume else load_config(recipe, tuple(arguments.override))
    if arguments.show:
        from ..config import config_to_yaml

        if config is None:
            config = load_config(Path(arguments.resume) / "config.yaml", resolved=True)
        print(config_to_yaml(config), end="")
        for line in learning_rates(config):
            print(f"# {line}")
        return 0

    console.outlive_the_reader()
    cpu_runtime.import_paddle()
    # Paddle warns at every start that BN tracks running statistics.
    warnings.filterwarnings("ignore", message="When training, we now always track")
    from ..distributed.collectives import is_rank0
    from ..runs.resume_rules import find_run, resumed_config
    from ..runs.run_folder import RunFolder
    from ..training.multi_seed import train_seeds
    from ..training.trainer import run as run_job

    if arguments.resume:
        resume = RunFolder.open(arguments.resume)
        config = resume.read_config()
    else:
        resume = find_run(config) if config.train.resume == "auto" else None
        if resume is not None:
            config = resumed_config(resume, config)
            if resume.is_finished():
                print(f"the run '{resume.path}' is finished: there is nothing to resume.")
                return 0

    def report(folder: RunFolder) -> None:
        if config.run.report:
            from ..report.run_report import write_report

            try:
                print(f"report: {write_report(folder.path)}")
            except OSError as error:  # the run itself is safe
                print(f"warning: no report could be written: {error.strerror or error}.")

    if config.train.num_seeds > 1:
        train_seeds(config, Path(recipe).stem, resume and resume.path, report)
        return 0
    outcome = run_job(config, recipe=Path(recipe).stem, resume=resume, afterwards=report)
    if not is_rank0():
        return 0
    folder = outcome.folder.path
    print(
        f"weights: {outcome.folder.best if outcome.folder.best.is_file() else outcome.folder.last}"
    )
    print(f"try it: paddle-resnet predict {folder} IMAGE")
    if config.run.visualdl:
        # Without a language some of its pages answer with an error.
        print(f"curves: visualdl -L en --logdir {outcome.folder.visualdl}")
    return 0
