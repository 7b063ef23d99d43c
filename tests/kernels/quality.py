"""Trains with the CPU operator and by plain Paddle, from the same seeds, and puts all together.

They sum in another order, and in bfloat16 round, and training lets last bits grow: single runs part
sooner or later. What must agree is what several seeds have in common.

    python tests/kernels/quality.py
    python tests/kernels/quality.py --sides plain,float32,bfloat16
    python tests/kernels/quality.py --model resnet50 --seeds 1 -o data.root=sample -o train.epochs=1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIGURES = ("loss", "acc_top1", "val_loss", "val_acc_top1")


#: PADDLE_RESNET_KERNELS and train.precision of each side.
SIDES = {
    "plain": ("off", "float32"),
    "float32": ("require", "float32"),
    "bfloat16": ("require", "bfloat16"),
}


def train(place: Path, side: str, seeds: int, overrides: list[str]) -> list[list[dict]]:
    """Train with each seed and return the rows of each run's history."""
    kernels, precision = SIDES[side]
    folder = place / side
    line = [*overrides, f"run.dir={place}", f"run.name={folder.name}", f"train.num_seeds={seeds}"]
    line.append(f"train.precision={precision}")
    process = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tools" / "train.py"),
            *("-c", "resnet20_cifar10_paper"),
            *(part for override in line for part in ("-o", override)),
        ],
        env={**os.environ, "PADDLE_RESNET_KERNELS": kernels, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        raise SystemExit(f"error: a training failed:\n{(process.stdout + process.stderr)[-2000:]}")
    histories = sorted(folder.rglob("history.jsonl"))
    assert len(histories) == seeds, histories
    return [[json.loads(row) for row in path.read_text().splitlines()] for path in histories]


def spread(runs: list[list[dict]], epoch: int, figure: str) -> str:
    """Return mean and standard deviation over the runs."""
    values = [run[epoch][figure] for run in runs]
    mean = statistics.mean(values)
    return f"{mean:.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--sides", default="plain,float32", help=f"of {','.join(SIDES)} (default: the first two)"
    )
    parser.add_argument("-o", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = [
        f"model.name={arguments.model}",
        "model.options={num_classes: 10, stem: cifar}",
        "data.max_train_images=5000",
        "data.validation=500",
        "train.epochs=4",
        "run.report=false",
        "run.visualdl=false",
        *arguments.overrides,
    ]
    with tempfile.TemporaryDirectory() as place:
        sides = {
            side: train(Path(place), side, arguments.seeds, overrides)
            for side in arguments.sides.split(",")
        }
    print("| epoch | side | " + " | ".join(FIGURES) + " |")
    print("|---" * (2 + len(FIGURES)) + "|")
    for epoch in range(min(len(run) for runs in sides.values() for run in runs)):
        for name, runs in sides.items():
            cells = [spread(runs, epoch, figure) for figure in FIGURES]
            print(f"| {epoch + 1} | {name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
