"""Kills training processes, over and over, and looks whether anything is lost.

Each run is trained once without interruption and once while it is being killed (SIGKILL): at
random moments from outside, and, by its own hand, at chosen moments inside the writing of a file.
Afterwards both folders must hold the same weights, bit for bit, and the same rows.

    python tests/training/kill_harness.py --kills 50 --runs 4
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]

#: A run of half a minute that draws at random in every step: stochastic depth, crops, flips.
RECIPE = {
    "model.name": "resnet18",
    "model.options.widths": "[8,8,16,16]",
    "model.options.stochastic_depth": "0.3",
    "data.root": "sample",
    "data.max_train_images": "400",
    "optimizer.lr": "0.01",
    "train.budget": "null",
    "train.batch_size": "16",
    "train.eval_batch_size": "200",
    "train.resume": "auto",
    "run.log_interval": "0.0001",
    "run.report": "false",
}

#: Where a process kills itself: at the n-th call, before or in the midst of it.
_SUICIDE = """
import os, random, signal, sys
place, count = sys.argv[1], int(sys.argv[2])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def at(owner, name, before=lambda *a: None):
    plain = getattr(owner, name)
    def wrapped(*arguments, **options):
        global count
        count -= 1
        if count < 0:
            before(*arguments)
            die()
        return plain(*arguments, **options)
    setattr(owner, name, wrapped)

if place == "half a file":  # the temporary file is there, with a part of what belongs into it
    import paddle_resnet.io.atomic_files as files
    plain = files.atomic_write_bytes
    def half(path, content):
        global count
        count -= 1
        if count < 0:
            with files.atomic_write(path) as file:
                file.write(content[: len(content) // 2])
                file.flush()
                die()
        plain(path, content)
    import paddle_resnet.runs.checkpoint_file, paddle_resnet.weights.save_load
    for module in (paddle_resnet.runs.checkpoint_file, paddle_resnet.weights.save_load):
        module.atomic_write_bytes = half
elif place == "before the sync":
    at(os, "fsync")
elif place == "before the rename":
    at(os, "replace")
elif place == "after the rename":
    plain_replace = os.replace
    def replace(*arguments):
        global count
        plain_replace(*arguments)
        count -= 1
        if count < 0:
            die()
    os.replace = replace
elif place == "before an old one is removed":
    from pathlib import Path
    plain_unlink = Path.unlink
    def unlink(self, *arguments, **options):
        global count
        if self.name.startswith("step-"):
            count -= 1
            if count < 0:
                die()
        return plain_unlink(self, *arguments, **options)
    Path.unlink = unlink

from paddle_resnet.cli import main
sys.exit(main(sys.argv[3:]))
"""
PLACES = (
    "half a file",
    "before the sync",
    "before the rename",
    "after the rename",
    "before an old one is removed",
)


@dataclass
class Tally:
    """What was seen so far."""

    kills: int = 0
    runs: int = 0
    identical: int = 0
    places: dict[str, int] = field(default_factory=dict)
    lost_steps: list[int] = field(default_factory=list)
    lost_seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def command(folder: Path, epochs: int, every: str, seed: int) -> list[str]:
    """Return the arguments of a run in this folder."""
    recipe = {
        **RECIPE,
        "train.epochs": str(epochs),
        "train.checkpoint_interval": every,
        "train.seed": str(seed),
        "run.dir": str(folder.parent),
        "run.name": folder.name,
    }
    return ["train", *(part for key in recipe for part in ("-o", f"{key}={recipe[key]}"))]


def start(
    line: list[str], log: Path, place: str = "", count: int = 0, python: str = sys.executable
) -> subprocess.Popen:
    """Start a training, one that will kill itself where a place is given."""
    begin = ["-c", _SUICIDE, place, str(count)] if place else ["-m", "paddle_resnet"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",  # sums in another order would differ in the last bit
    }
    with open(log, "ab") as file:
        return subprocess.Popen(
            [python, *begin, *line],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
        )


def rows(path: Path) -> list[dict]:
    """Return the whole rows of a JSON-lines file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint, 0 where there is none."""
    steps = [int(path.stem[5:]) for path in folder.glob("checkpoints/step-*.safetensors")]
    return max(steps, default=0)


def measure_loss(folder: Path, tally: Tally) -> None:
    """Note how much work the last kill has cost: what the rows tell beyond the checkpoint."""
    done = rows(folder / "steps.jsonl")
    saved = newest_step(folder)
    tally.lost_steps.append(max((row["step"] for row in done), default=0) - saved)
    seconds = {row["step"]: row["seconds"] for row in done}
    if done:
        tally.lost_seconds.append(done[-1]["seconds"] - seconds.get(saved, 0.0))


def differences(ours: Path, whole: Path) -> list[str]:
    """Return in what an interrupted run differs from the uninterrupted one; nothing is wanted."""
    found = []
    for name in ("last.safetensors", "best.safetensors"):
        a, b = load_file(ours / name), load_file(whole / name)
        if set(a) != set(b) or any(a[key].tobytes() != b[key].tobytes() for key in a):
            found.append(f"{name} holds other weights")
    timing = ("seconds", "images_per_second")
    for name in ("history.jsonl", "steps.jsonl"):
        a, b = (
            [{k: v for k, v in row.items() if k not in timing} for row in rows(run / name)]
            for run in (ours, whole)
        )
        if a != b:
            found.append(f"{name}: {len(a)} rows and {len(b)}, or other figures")
    results = [json.loads((run / "result.json").read_text()) for run in (ours, whole)]
    for key in ("status", "best"):
        if results[0][key] != results[1][key]:
            found.append(f"result.json: another {key}")
    tests = [{k: v for k, v in r["test"].items() if k not in timing} for r in results]
    if tests[0] != tests[1]:
        found.append("result.json: other test figures")
    left = [path.name for path in ours.rglob(".*.tmp")]
    if left:
        found.append(f"halves of files are left: {left}")
    return found


def one_run(
    place: Path,
    number: int,
    kills: int,
    epochs: int,
    every: str,
    tally: Tally,
    chance: random.Random,
) -> None:
    """Train one run twice, undisturbed and while it is killed this many times, and compare."""
    whole, ours = place / f"whole-{number}", place / f"killed-{number}"
    log = place / f"log-{number}.txt"
    began = time.monotonic()
    if start(command(whole, epochs, every, number), log).wait() != 0:
        raise SystemExit(f"the uninterrupted run failed:\n{log.read_text()[-3000:]}")
    duration = time.monotonic() - began
    line = command(ours, epochs, every, number)
    done = 0
    while True:
        if done >= kills:
            if start(line, log).wait() != 0:
                tally.problems.append(f"run {number} did not end: {log.read_text()[-500:]}")
            break
        # Every third kill is by its own hand, while a file is being written.
        kind = PLACES[(tally.kills // 3) % len(PLACES)] if tally.kills % 3 == 2 else ""
        if kind:
            process = start(line, log, kind, chance.randrange(12))
            process.wait()
        else:
            process = start(line, log)
            try:
                # Often enough before the first step, for starting takes some seconds.
                process.wait(timeout=chance.uniform(0.5, 0.45 * duration))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if process.returncode == -signal.SIGKILL:
            done += 1
            tally.kills += 1
            tally.places[kind or "at random"] = tally.places.get(kind or "at random", 0) + 1
            measure_loss(ours, tally)
        elif process.returncode == 0:  # it came to its end before it was killed
            break
        else:
            tally.problems.append(f"run {number}: {log.read_text()[-500:]}")
            break
    tally.runs += 1
    found = differences(ours, whole) if (ours / "result.json").is_file() else ["no result"]
    tally.problems += [f"run {number}: {each}" for each in found]
    tally.identical += not found


def harness(kills: int, runs: int, epochs: int, every: str, seed: int, place: Path) -> Tally:
    """Kill this often in all, over at least this many runs."""
    tally, chance = Tally(), random.Random(seed)
    number = 0
    while number < runs or tally.kills < kills:
        share = -(-(kills - tally.kills) // max(runs - number, 1))
        one_run(place, number, max(share, 1), epochs, every, tally, chance)
        number += 1
        print(summary(tally, every), flush=True)
        if tally.problems:
            break
    return tally


def summary(tally: Tally, every: str) -> str:
    """Return what was seen, in lines."""
    places = ", ".join(f"{count} {name}" for name, count in sorted(tally.places.items()))
    lines = [
        f"kills: {tally.kills} ({places})",
        f"runs: {tally.runs}, identical: "
        + ("yes, all" if tally.identical == tally.runs else f"no, only {tally.identical}"),
        f"most work lost: {max(tally.lost_steps, default=0)} steps, "
        f"{max(tally.lost_seconds, default=0.0):.2f} s of training (a checkpoint every {every})",
    ]
    return "\n".join([*lines, *tally.problems])


def main() -> int:
    """Run the harness from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--every", default="20 steps", help="train.checkpoint_interval")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tally = harness(
            arguments.kills,
            arguments.runs,
            arguments.epochs,
            arguments.every,
            arguments.seed,
            Path(place),
        )
    return 1 if tally.problems or tally.identical != tally.runs else 0


if __name__ == "__main__":
    sys.exit(main())
