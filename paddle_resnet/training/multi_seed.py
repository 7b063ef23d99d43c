"""The same recipe with several seeds: metrics with their spread."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Callable, Optional

from ..config import Config, config_to_yaml
from ..distributed.collectives import init_distributed, world_size
from ..errors import TrainingError, UserError
from ..formatting import console_duration
from ..io.atomic_files import atomic_write_json, atomic_write_text, with_home
from ..runs.resume_rules import resumed_config
from ..runs.run_folder import RunFolder, absolute_paths, is_unused
from .trainer import run

#: The test metrics of the summary, and their number formats.
METRICS = {"acc_top1": ".2%", "acc_top5": ".2%", "loss": ".4f"}
#: Entries that tests must have in common for their mean to be meaningful.
ALIKE = ("images", "weights", "is_sample")


def train_seeds(
    config: Config,
    recipe: str = "run",
    resume: Optional[Path] = None,
    afterwards: Callable[[RunFolder], None] = lambda folder: None,
    write: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train ``train.num_seeds`` times, with the seeds ``train.seed``, ``train.seed + 1``, ...

    The runs are folders ``seed-N`` of one folder, which gets a ``summary.json``. Finished runs are
    kept, interrupted ones are resumed.

    Args:
        config: the recipe; of an earlier call where ``resume`` is given.
        recipe: its name, for the folder's.
        resume: the folder of an earlier call.
        afterwards: called with the folder of every run that has come to an end.
        write: takes the lines of the summary.

    Returns:
        dict: the content of summary.json: ``seeds``, ``finished`` (how many), ``mean`` and ``std``
        (of a sample: divided by n - 1; null of one run alone) of ``acc_top1``, ``acc_top5`` and
        ``loss`` on the test set; ``differ``: of the number of test images (``images``), the
        ``weights`` tested and ``is_sample``, the values of those that the tests do not have in
        common; ``classes`` (how many); and ``runs``: of each, ``seed``, ``folder``, ``status``,
        ``is_sample``, and ``training`` and ``test`` as in its result.json.

    Raises:
        TrainingError: several processes; another process works in the folder; or a run failed, and
            the others were done all the same.
        TrainingInterrupted: a signal came; a checkpoint is saved.
    """
    init_distributed()
    if world_size() > 1:
        raise TrainingError(
            f"train.num_seeds is {config.train.num_seeds}, which is for a single process: "
            "launch one run for each train.seed."
        )
    outer = RunFolder(resume) if resume is not None else _make_folder(config, recipe)
    # Each run locks its own folder; without this lock, a second process would take the next seed.
    outer.acquire()
    try:
        return _run_all(config, outer.path, recipe, afterwards, write)
    finally:
        outer.release()


def _run_all(
    config: Config,
    folder: Path,
    recipe: str,
    afterwards: Callable[[RunFolder], None],
    write: Callable[[str], None],
) -> dict[str, Any]:
    seeds = list(range(config.train.seed, config.train.seed + config.train.num_seeds))
    failed: list[str] = []
    for number, seed in enumerate(seeds, start=1):
        child = RunFolder(folder / f"seed-{seed}")
        if _result(child).get("status") == "finished":
            continue
        write(f"run {number} of {len(seeds)}, seed {seed}")
        known = child.config.is_file()
        try:
            own = _one(_like_the_first(config, folder, seeds), folder, seed)
            if known:
                run(resumed_config(child, own), recipe, child, afterwards)
            else:
                run(own, recipe, None, afterwards)
        except UserError as error:
            if not child.path.exists():  # nothing has begun: the recipe or the data is wrong
                _remove_if_empty(folder)
                raise
            failed.append(f"seed {seed}: {error}")
            write(f"run {number} failed: {error}")
        except KeyboardInterrupt:
            write(f"to resume all {len(seeds)} runs: paddle-resnet train --resume {folder}")
            raise
    summary = summarize(folder, seeds)
    atomic_write_json(folder / "summary.json", summary)
    for line in lines_of(summary):
        write(line)
    write(f"summary: {folder / 'summary.json'}")
    if failed:
        raise TrainingError(f"{len(failed)} of {len(seeds)} runs failed; {failed[0]}")
    return summary


def _like_the_first(config: Config, folder: Path, seeds: list[int]) -> Config:
    """Return the recipe with what `auto` was for the first seed: nothing but seeds may differ."""
    if config.train.precision != "auto":
        return config
    for seed in seeds:
        child = RunFolder(folder / f"seed-{seed}")
        if child.config.is_file():
            precision = child.read_config().train.precision
            return replace(config, train=replace(config.train, precision=precision))
    return config


def summarize(folder: Path, seeds: list[int]) -> dict[str, Any]:
    """Return the content of summary.json from the runs' result.json files."""
    runs, classes = [], 0
    for seed in seeds:
        child = RunFolder(folder / f"seed-{seed}")
        result = _result(child)
        classes = len((result.get("data") or {}).get("classes") or ()) or classes
        runs.append(
            {
                "seed": seed,
                "folder": child.path.name,
                "status": result.get("status", "missing"),
                "is_sample": (result.get("data") or {}).get("is_sample"),
                "training": result.get("training"),
                "test": result.get("test"),
            }
        )
    tests = [
        {"is_sample": run["is_sample"], **run["test"]}
        for run in runs
        if run["status"] == "finished" and run["test"]
    ]
    seen = {key: {test.get(key) for test in tests} for key in ALIKE}
    # A loss that was not finite is null.
    columns = {name: [test[name] for test in tests if test[name] is not None] for name in METRICS}
    return {
        "seeds": seeds,
        "finished": len(tests),
        "mean": {name: mean(values) if values else None for name, values in columns.items()},
        "std": {
            name: stdev(values) if len(values) > 1 else None for name, values in columns.items()
        },
        "differ": {
            key: sorted(found, key=lambda it: (it is None, it))
            for key, found in seen.items()
            if len(found) > 1
        },
        "classes": classes,
        "runs": runs,
    }


def lines_of(summary: dict[str, Any]) -> list[str]:
    """Return the summary as lines for people."""
    lines = []
    for each in summary["runs"]:
        test = each["test"]
        metrics = _sentence(test, each["is_sample"]) if test else ""
        seconds = console_duration((each["training"] or {}).get("seconds"))
        lines.append(f"seed {each['seed']}: {metrics or each['status']}, in {seconds}")
    if summary["finished"]:
        parts = []
        for name, form in METRICS.items():
            if name == "acc_top5" and 0 < summary["classes"] <= 5:
                continue  # it cannot be wrong
            if summary["mean"][name] is None:
                continue  # of no run was it finite
            spread = summary["std"][name]
            parts.append(
                f"{name} {summary['mean'][name]:{form}}"
                + (f" ± {spread:{form}}" if spread is not None else "")
            )
        differ = [f"{key} {', '.join(map(str, found))}" for key, found in summary["differ"].items()]
        unlike = f", whose tests are not alike ({'; '.join(differ)})" if differ else ""
        lines.append(
            f"mean ± standard deviation of {summary['finished']} runs{unlike}: {', '.join(parts)}"
        )
    return lines


def _sentence(test: dict[str, Any], is_sample: Optional[bool]) -> str:
    sample = " of the sample" if is_sample else ""
    loss = "not finite" if test["loss"] is None else f"{test['loss']:.4f}"
    return (
        f"test accuracy {test['acc_top1']:.2%}, loss {loss} "
        f"on {test['images']:,} images{sample} ({test['weights']} weights)"
    )


def _one(config: Config, folder: Path, seed: int) -> Config:
    """Return the recipe of one of the runs."""
    return replace(
        config,
        train=replace(config.train, seed=seed, num_seeds=1),
        run=replace(config.run, dir=str(folder), name=f"seed-{seed}"),
    )


def _make_folder(config: Config, recipe: str) -> RunFolder:
    """Make the folder of all runs, locked."""
    name = (
        config.run.name or f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}-{config.train.num_seeds}-seeds"
    )
    folder = with_home(config.run.dir) / name
    if folder.is_dir() and not is_unused(folder):
        raise TrainingError(
            f"'{folder}' exists: choose another run.name, or resume it: "
            f"paddle-resnet train --resume {folder}"
        )
    outer = RunFolder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        outer.acquire()
        atomic_write_text(folder / "config.yaml", config_to_yaml(absolute_paths(config)))
    except OSError as error:
        outer.release()
        raise TrainingError(
            f"cannot make the folder '{folder}': {error.strerror or error}."
        ) from None
    return outer


def _remove_if_empty(folder: Path) -> None:
    files = list(folder.iterdir())
    if {path.name for path in files} <= {"config.yaml", ".lock"}:
        for path in files:
            path.unlink()
        folder.rmdir()


def _result(folder: RunFolder) -> dict[str, Any]:
    try:
        result = json.loads(folder.result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}
