"""Small faults, each of which the suite must catch.

Each mutation is applied to a copy of the tree, and the test files beside it run there with ``-x``.
A mutation that they do not catch has survived: write the test that is missing.

    python tests/mutations.py [--only WORD] [--list]

The exit code is the number of survivors. C++ is left out: each of its mutations would be a build.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: Seconds after which a test run counts as hanging, and the mutation as caught.
TIMEOUT = 900


class Mutation(NamedTuple):
    """A fault: ``old`` becomes ``new``, once, in a file of the package."""

    name: str
    path: str
    old: str
    new: str
    tests: str


MUTATIONS = (
    Mutation(
        "muon: momentum is subtracted",
        "optim/muon.py",
        "velocity * self._momentum + gradient, velocity)",
        "gradient - velocity * self._momentum, velocity)",
        "optim/test_optimizers.py",
    ),
    Mutation(
        "resume repeats the last batch",
        "training/loop/batch_stream.py",
        '"batch": 0 if done else self.batch,',
        '"batch": 0 if done else self.batch - 1,',
        "training/loop/test_training_loop.py training/test_resume.py",
    ),
    Mutation(
        "the average is not swapped back",
        "optim/ema.py",
        "tensor.set_value(own[name])",
        "pass",
        "optim/test_ema.py",
    ),
    Mutation(
        "the average starts from the second update's decay",
        "optim/ema.py",
        "decay = min(decay, (1 + self.updates) / (10 + self.updates))",
        "decay = min(decay, (2 + self.updates) / (11 + self.updates))",
        "optim/test_ema.py",
    ),
    Mutation(
        "the shards of a batch overlap",
        "data/loader.py",
        "whole.start + size * shard // self.shard_count",
        "whole.start + -(-size * shard // self.shard_count)"
        " * (shard == self.shard_index or shard == self.shard_count)",
        "training/test_distributed.py",
    ),
    Mutation(
        "a file is renamed before it is on the disk",
        "io/atomic_files.py",
        "            os.fsync(file.fileno())\n        os.replace",
        "        os.replace",
        "io/test_atomic_files.py",
    ),
    Mutation(
        "a rename is not on the disk",
        "io/atomic_files.py",
        "        _sync_folder(target.parent)",
        "",
        "io/test_atomic_files.py",
    ),
    Mutation(
        "a tie replaces the best weights",
        "training/checkpointer.py",
        "_score(new) > _score(self.metrics)",
        "_score(new) >= _score(self.metrics)",
        "training/test_checkpointer.py",
    ),
    Mutation(
        "the best weights are written before the checkpoint",
        "training/checkpointer.py",
        "        self.save(state)\n"
        "        if is_best and not self._save_best(state):\n"
        "            state.best.metrics = before\n",
        "        if is_best and not self._save_best(state):\n"
        "            state.best.metrics = before\n"
        "        self.save(state)\n",
        "training/test_checkpointer.py",
    ),
    Mutation(
        "BN statistics of a NaN step stay",
        "training/loop/step.py",
        "state.bn_snapshot.restore()",
        "pass",
        "training/loop/test_training_loop.py training/test_paddle_model_faults.py",
    ),
    Mutation(
        "a NaN in a running statistic is not seen",
        "training/loop/step.py",
        "float(loss), own, not state.bn_snapshot.is_finite()",
        "float(loss), own, False",
        "training/loop/test_training_loop.py training/test_paddle_model_faults.py",
    ),
    Mutation(
        "the rate follows the next step",
        "training/loop/training_loop.py",
        "            state.set_learning_rate()\n"
        "            result = step(state, batch)\n"
        "            state.count(result)\n",
        "            result = step(state, batch)\n"
        "            state.count(result)\n"
        "            state.set_learning_rate()\n",
        "training/loop/test_training_loop.py",
    ),
    Mutation(
        "validation leaves the average in place of the weights",
        "training/loop/training_loop.py",
        "            with state.evaluated_weights():\n                metrics",
        "            if True:\n                metrics",
        "training/loop/test_training_loop.py training/test_trainer.py",
    ),
    Mutation(
        "an accumulation that the epoch cuts short is dropped",
        "training/loop/training_loop.py",
        "        update(state)  # an accumulation that the end of the epoch cut short\n",
        "",
        "training/loop/test_training_loop.py",
    ),
    Mutation(
        "accumulated gradients are summed",
        "training/loop/accumulation.py",
        "factor = self._first / self._samples if self._samples else 1.0",
        "factor = 1.0",
        "training/loop/test_accumulation.py",
    ),
    Mutation(
        "every rank draws the same random numbers",
        "training/loop/training_loop.py",
        "seed_step(state.seed, progress.step, rank())",
        "seed_step(state.seed, progress.step, 0)",
        "training/test_rank_agreement.py",
    ),
    Mutation(
        "BN statistics of ranks are summed",
        "distributed/gradients.py",
        "together = together / world_size()",
        "together = together / 1",
        "training/test_rank_agreement.py",
    ),
    Mutation(
        "SIGTERM ends the process at its second time",
        "training/signals.py",
        "if number != signal.SIGINT:",
        "if number != signal.SIGINT and self._first_interrupt is None:",
        "training/test_signals.py",
    ),
    Mutation(
        "early stopping waits one evaluation longer",
        "training/callbacks/early_stopping.py",
        "if self.waited < self.patience:",
        "if self.waited <= self.patience:",
        "training/callbacks/test_plateau.py",
    ),
    Mutation(
        "the plateau's cooldown is skipped",
        "training/callbacks/plateau.py",
        "self.cooldown_left, self.waited = self.cooldown, 0",
        "self.cooldown_left, self.waited = 0, 0",
        "training/callbacks/test_plateau.py",
    ),
    Mutation(
        "milestones come one rounding late",
        "optim/schedules.py",
        "bisect_right(milestones, t + _ROUNDING)",
        "bisect_right(milestones, t - _ROUNDING)",
        "optim/test_schedules.py",
    ),
    Mutation(
        "a budget does not reserve the time of evaluations",
        "training/loop/time_budget.py",
        "reserved = outside_steps + evaluations + writing + self.test_seconds",
        "reserved = outside_steps + writing + self.test_seconds",
        "training/loop/test_time_budget.py",
    ),
    Mutation(
        "a checkpoint's checksum is not compared",
        "runs/checkpoint_file.py",
        'if checksum(arrays, head["state"]) != head["sha256"]:',
        "if False:",
        "runs/test_checkpoint_file.py",
    ),
    Mutation(
        "a run is resumed with any recipe",
        "runs/resume_rules.py",
        "    if different:\n",
        "    if different and False:\n",
        "training/test_resume.py::test_auto_does_not_go_on_with_another_recipe",
    ),
    Mutation(
        "equal logits count as correct",
        "evaluation/meters.py",
        "ranks = ((logits > own) | ((logits == own) & lower)).sum(axis=1)",
        "ranks = (logits > own).sum(axis=1)",
        "evaluation/test_evaluate.py",
    ),
    Mutation(
        "test-time augmentation does not mirror",
        "evaluation/tta.py",
        "np.ascontiguousarray(place[..., ::-1])",
        "np.ascontiguousarray(place)",
        "evaluation/test_tta.py",
    ),
    Mutation(
        "mixup weights are exchanged",
        "training/loop/losses.py",
        "(lam * one + (1 - lam) * other).mean()",
        "((1 - lam) * one + lam * other).mean()",
        "training/loop/test_losses.py",
    ),
    Mutation(
        "validation losses are smoothed",
        "training/loop/losses.py",
        "(self.smoothed if self.training else self.plain)(logits, labels)",
        "self.smoothed(logits, labels)",
        "training/loop/test_losses.py",
    ),
    Mutation(
        "the remainder of a split goes to the smallest classes",
        "data/stratified_split.py",
        "np.argsort(-remainders",
        "np.argsort(remainders",
        "data/test_stratified_split.py",
    ),
    Mutation(
        "crops are one pixel short of the border",
        "data/loader.py",
        "places = np.uint64(2 * padding + 1)",
        "places = np.uint64(2 * padding)",
        "data/test_batch_fingerprints.py",
    ),
    Mutation(
        "a dict of a pickle takes any integer as a key",
        "io/safe_pickle.py",
        "small = type(key) is int and abs(key) < _MAX_INT_KEY",
        "small = type(key) is int",
        "io/test_safe_pickle.py",
    ),
    Mutation(
        "the lower limit of an accuracy is the upper one",
        "stats.py",
        "low = 0.0 if successes == 0 else max(0.0, middle - half)",
        "low = 0.0 if successes == 0 else min(1.0, middle + half)",
        "test_stats.py",
    ),
)


def copy_tree(target: Path) -> None:
    """Copy the tracked files of the tree."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def survives(mutation: Mutation, tree: Path) -> tuple[bool, str]:
    """Apply a mutation, run its tests, undo it; return whether they passed, and their last line."""
    path = tree / "paddle_resnet" / mutation.path
    before = path.read_text(encoding="utf-8")
    if before.count(mutation.old) != 1:
        raise SystemExit(
            f"{mutation.name}: expected its text once in {mutation.path}, found it "
            f"{before.count(mutation.old)} times."
        )
    tests = tests_of(mutation)
    absent = [name for name in tests if not (tree / name.split("::")[0]).is_file()]
    if absent:
        raise SystemExit(f"{mutation.name}: there is no {absent[0]}.")
    path.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        done = run(tests, tree)
    except subprocess.TimeoutExpired:
        return False, f"no end within {TIMEOUT} s"
    finally:
        path.write_text(before, encoding="utf-8")
    if done.returncode not in (0, 1):
        raise SystemExit(f"{mutation.name}: pytest failed:\n{done.stdout}{done.stderr}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 0, failed[0].split(" - ")[0] if failed else ""


def tests_of(mutation: Mutation) -> list[str]:
    return [f"tests/{name}" for name in mutation.tests.split()]


def run(tests: list[str], tree: Path) -> subprocess.CompletedProcess:
    """Run tests in a tree."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def main() -> int:
    """Apply the mutations one by one and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="WORD", help="mutations whose names have it")
    parser.add_argument("--list", action="store_true", help="print the mutations and end")
    arguments = parser.parse_args()
    chosen = [each for each in MUTATIONS if arguments.only in each.name]
    if arguments.list:
        print("\n".join(f"{each.path}: {each.name}" for each in chosen))
        return 0
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutations_") as folder:
        tree = Path(folder)
        copy_tree(tree)
        # A test that fails without any mutation would pass for one that catches them all.
        for tests in sorted({tuple(tests_of(each)) for each in chosen}):
            done = run(list(tests), tree)
            if done.returncode:
                raise SystemExit(f"without a mutation: {done.stdout}{done.stderr}")
        for mutation in chosen:
            began = time.monotonic()
            survived, by = survives(mutation, tree)
            survivors += [mutation.name] if survived else []
            verdict = "SURVIVED" if survived else "caught"
            seconds = time.monotonic() - began
            print(f"{verdict:<9}{seconds:5.0f} s  {mutation.name}: {by}", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations caught")
    return len(survivors)


if __name__ == "__main__":
    raise SystemExit(main())
