"""Trains the same thing in one process and in two, and puts them side by side.

The same images in the same batches: how fast, how far the weights are apart at the end, and whether
each test image was looked at exactly once. Rounds take turns, so that a change of the machine's
load meets all of them.

    python tests/training/two_processes.py --rounds 3      (a round takes some four minutes)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]


@dataclass
class Row:
    """One way to train, and what its rounds have shown."""

    processes: int
    threads: int
    sync_bn: bool = False
    speeds: list[float] = field(default_factory=list)
    run: Path = Path()

    def title(self) -> str:
        """Return the first cells of the table."""
        batch_norm = "each share" if self.processes > 1 and not self.sync_bn else "whole batch"
        return f"| {self.processes} x {self.threads} | {batch_norm} |"


def launch(processes: int, threads: int, folder: Path, *line: str) -> subprocess.Popen:
    """Start `tools/train.py` in so many processes; logs of several go to `folder`/log."""
    python = [sys.executable]
    if processes > 1:
        python += ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
        python += ["--log_dir", str(folder / "log")]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PADDLE_T")},
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": str(threads),
    }
    return subprocess.Popen(
        [*python, str(ROOT / "tools" / "train.py"), *line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
    )


def largest_difference(one: Path, other: Path) -> float:
    """Return by how much the last weights of two runs differ at most."""
    ours, theirs = (load_file(run / "last.safetensors") for run in (one, other))
    if ours.keys() != theirs.keys():
        raise SystemExit("error: the runs hold other arrays")
    return max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours)


def train(row: Row, place: Path, images: int, epochs: int) -> None:
    """Train once and note what came out."""
    row.run = place / f"run-{row.processes}-{row.threads}-{row.sync_bn}-{len(row.speeds)}"
    recipe = {
        "data.max_train_images": images,
        "optimizer.lr": 0.001,  # at a large rate, a last bit grows into another network in no time
        "augment.initial_scale": 1,
        "train.epochs": epochs,
        "train.sync_bn": str(row.sync_bn).lower(),
        "run.dir": row.run.parent,
        "run.name": row.run.name,
        "run.report": "false",
    }
    line = [part for key, value in recipe.items() for part in ("-o", f"{key}={value}")]
    process = launch(row.processes, row.threads, place, "-c", "resnet20_cifar10", *line)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"error: a training failed:\n{said[-2000:]}")
    row.speeds.append(
        json.loads((row.run / "result.json").read_text())["training"]["images_per_second"]
    )


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown; the first is what the others are compared with."""
    lines = [
        "| processes x threads | batch norm over | images/s: median (min to max) | largest "
        "difference of a weight | test accuracy | test images, each once |",
        "|---|---|---|---|---|---|",
    ]
    labels = np.load(rows[0].run / "predictions.npz")["labels"]
    for row in rows:
        test = json.loads((row.run / "result.json").read_text())["test"]
        same = np.array_equal(np.load(row.run / "predictions.npz")["labels"], labels)
        speeds = (
            f"{statistics.median(row.speeds):.0f} ({min(row.speeds):.0f} to {max(row.speeds):.0f})"
        )
        lines.append(
            f"{row.title()} {speeds} | {largest_difference(rows[0].run, row.run):.1e} | "
            f"{test['acc_top1']:.2%} | {test['images']:,}{'' if same else ', NOT the same'} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2560, help="training images")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    rows = [Row(1, 2), Row(1, 1), Row(2, 1), Row(2, 1, sync_bn=True)]
    with tempfile.TemporaryDirectory() as place:
        for number in range(arguments.rounds):
            for row in rows:
                train(row, Path(place), arguments.images, arguments.epochs)
                print(
                    f"round {number + 1}: {row.title()} {row.speeds[-1]:.0f} images/s", flush=True
                )
            print(table(rows), flush=True)  # all that is known so far
    return 0


if __name__ == "__main__":
    sys.exit(main())
