"""Two networks side by side in one run: what they are, whether they agree, how fast they are."""

from __future__ import annotations

import dataclasses
import math
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import numpy as np
from safetensors.numpy import load_file

from ..config import load_config
from ..data import Cifar10Data, load_cifar10
from ..errors import ConfigError, UserError
from ..formatting import counted
from ..io.child_process import ChildProcess
from ..runs.environment import environment
from . import diff
from .model_spec import ModelSpec, resolve_both
from .worker import NOISE

Log = Callable[[str], None]
#: Side of the images where nothing is said; CIFAR-10's own have 32. Twice that leaves four times as
#: many values in each batch norm of the last stage, and ten steps do not amplify rounding.
SIZE, OWN_SIZE = 64, 32
# How long the threads of a process spin after its turn: OpenMP's default is 0.2 s.
REST = 0.25
LOG_INTERVAL = 10.0


def compare(
    a: str,
    b: str | None = None,
    *,
    stem: str | None = None,
    num_classes: int | None = None,
    batch_size: int = 32,
    image_size: int | None = None,
    steps: int = 10,
    rounds: int = 5,
    seed: int = 0,
    train: str | float | None = None,
    data: str | None = None,
    log: Log = print,
) -> dict[str, Any]:
    """Measure two networks against each other on real CIFAR-10 images.

    Each runs in a process of its own, set up in the same way (see
    :mod:`paddle_resnet.cpu_runtime`); wherever time is taken, the two take turns.

    Args:
        a: a name of ``list_models()``; ``paddle.vision:NAME``; a run folder or weights file;
            ``NAME:FILE``; see :func:`~paddle_resnet.compare.model_spec.resolve`.
        b: another. Default: ``paddle.vision:`` and the name of ``a``.
        stem: ``imagenet`` or ``cifar``, of both. Default: each as it is.
        num_classes: outputs, at least 10. Default: those of a weights file, else 10.
        batch_size: images of a step.
        image_size: height and width; other than 32, the images are resized. Default: 64, of
            networks for CIFAR 32.
        steps: of the loss curve.
        rounds: turns of each side that are timed.
        seed: decides initial weights and images.
        train: time to train each for, such as ``5m`` or seconds, by the quickstart's recipe.
            Default: no training.
        data: where CIFAR-10 is, see :func:`~paddle_resnet.data.load_cifar10`.
        log: called with each line of progress.

    Returns:
        dict of JSON types: ``setting``, ``counts``, ``keys``, ``agreement`` (None where the keys
        disagree; else the differences by ``plain`` Paddle, with the CPU ``operator``, which is None
        where it computes nothing, and the ``noise`` floor), ``curve``, ``speed`` (images/s),
        ``memory`` (bytes), ``training`` (None without ``train``), ``environment``. Non-finite
        values are None.

    Raises:
        UserError: names, sizes or files that cannot be used; too little memory.
    """
    _check(batch_size, image_size, steps, rounds, seed)
    if train is not None:
        try:
            budget = load_config("quickstart", (f"train.budget={train}",)).train.budget
        except ConfigError:
            raise UserError(
                f"--train is '{train}', expected a duration such as 90s or 5m."
            ) from None
    first, second = resolve_both(a, b, stem, num_classes)
    sides = {"a": first, "b": second}
    for side in sides.values():
        if side.num_classes < 10:
            raise UserError(
                f"{side.name} has {side.num_classes} classes, but CIFAR-10 has 10: "
                "give --num-classes 10 or more."
            )
    if image_size is None:
        small = stem == "cifar" or any(side.input_size == OWN_SIZE for side in sides.values())
        image_size = OWN_SIZE if small else SIZE
    images = load_cifar10(data, notify=log)
    facts = environment()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pair = _Pair(sides, folder, stack, log)
        found = pair.build(seed, image_size)
        pair.images(images, batch_size, max(steps, 2), image_size, seed)
        found["curve"] = pair.curve(steps)
        found["memory"] = pair.memory()
        found["speed"] = pair.speed(rounds, batch_size)
        found["agreement"] = None
        if found["keys"]["agree"]:
            found["agreement"] = pair.agreement(steps, found["curve"]["max_abs"])
        found["training"] = pair.train(budget, seed, data) if train is not None else None
    setting = {
        "a": dataclasses.asdict(first),
        "b": dataclasses.asdict(second),
        "names": pair.names,
        "leader": pair.leader,
        "stem": stem,
        "num_classes": {key: side.num_classes for key, side in sides.items()},
        "batch_size": batch_size,
        "image_size": image_size,
        "steps": steps,
        "rounds": rounds,
        "seed": seed,
        "data": {"name": "CIFAR-10", "source": images.source, "is_sample": images.is_sample},
    }
    return _plain({"setting": setting, **found, "environment": facts})


def reference_of(a: str, b: str) -> str:
    """Return whose rounding is the measure: Paddle's own network's if only one is, else b's."""
    return "a" if a == "vision" != b else "b"


class _Pair:
    """Both processes, and the rounds in which they take turns."""

    def __init__(
        self, sides: dict[str, ModelSpec], folder: Path, stack: ExitStack, log: Log
    ) -> None:
        self.sides = sides
        self.folder = folder
        self.log = log
        self.names = _labels(*sides.values())
        self.processes = {
            key: stack.enter_context(
                ChildProcess(
                    self.names[key],
                    [sys.executable, "-m", "paddle_resnet.compare.worker"],
                    log=lambda line, key=key: log(f"{self.names[key]}: {line}"),
                )
            )
            for key in sides
        }
        self.starts = {key: str(folder / f"start-{key}.safetensors") for key in sides}
        self.before: dict[str, float] = {}
        # Weights from a file are preferred to random ones.
        only_b = sides["b"].kind == "file" != sides["a"].kind
        self.leader = "b" if only_b else "a"

    def build(self, seed: int, size: int) -> dict[str, Any]:
        self.log(f"building {' and '.join(self.names.values())}")
        # Published counts are of 224 pixels; networks for small images have none.
        usual = min(side.input_size for side in self.sides.values())
        sizes = [size, 224] if size != 224 and usual == 224 else [size]
        answers = {
            key: process.call(
                "build", side=dataclasses.asdict(self.sides[key]), seed=seed, sizes=sizes
            )
            for key, process in self.processes.items()
        }
        self.before = {key: answer["memory_before"] for key, answer in answers.items()}
        keys = diff.keys(answers["a"]["keys"], answers["b"]["keys"])
        for key, process in self.processes.items():
            process.call("save", path=self.starts[key])
        if keys["agree"]:
            self.starts = dict.fromkeys(self.starts, self.starts[self.leader])
            self.restart()
        return {"counts": {key: answer["counts"] for key, answer in answers.items()}, "keys": keys}

    def restart(self) -> None:
        for key, process in self.processes.items():
            process.call("load", path=self.starts[key])

    def images(
        self, data: Cifar10Data, batch_size: int, batches: int, size: int, seed: int
    ) -> None:
        # Raw words, which numpy promises never to change.
        words = np.random.PCG64(seed).random_raw(len(data.train_labels))
        chosen = np.resize(np.argsort(words, kind="stable"), (batches, batch_size))
        path = self.folder / "images.npz"
        np.savez(path, images=data.train_images[chosen], labels=data.train_labels[chosen])
        leader = self.sides[self.leader]
        for process in self.processes.values():
            process.call("images", path=str(path), mean=leader.mean, std=leader.std, size=size)

    def curve(self, steps: int) -> dict[str, Any]:
        """Return the losses of both, as they run."""
        self.log(f"{counted(steps, 'training step')} of each on the same batches")
        losses = self.losses(steps, {key: {} for key in self.processes})
        apart = [abs(x - y) for x, y in zip(*losses.values())]
        return {**losses, "first": apart[0], "max_abs": _largest(apart)}

    def losses(self, steps: int, how: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
        """Return the losses of steps that the given processes do in turns, each in its own way."""
        losses: dict[str, list[float]] = {key: [] for key in how}
        logged = time.monotonic()
        for step in range(steps):
            for key, options in how.items():
                answer = self.processes[key].call("step", batch=step, **options)
                losses[key].append(answer["loss"])
            if time.monotonic() - logged > LOG_INTERVAL:
                logged = time.monotonic()
                now = " and ".join(f"{values[-1]:.4f}" for values in losses.values())
                self.log(f"step {step + 1} of {steps}: loss {now}")
        return losses

    def memory(self) -> dict[str, dict[str, float]]:
        # Measured after the steps of the curve and before anything else that allocates.
        return {
            key: {"peak": process.call("memory"), "before": self.before[key]}
            for key, process in self.processes.items()
        }

    def speed(self, rounds: int, batch_size: int) -> dict[str, Any]:
        return {
            kind: diff.speeds(*self._turns(kind, do, rounds), batch_size)
            for kind, do in (("training", "step"), ("inference", "infer"))
        }

    def _turns(self, kind: str, do: str, rounds: int) -> list[list[float]]:
        seconds: dict[str, list[float]] = {"a": [], "b": []}
        logged = time.monotonic() - LOG_INTERVAL
        for turn in range(rounds + 1):
            if time.monotonic() - logged >= LOG_INTERVAL:
                logged = time.monotonic()
                self.log(f"speed of {kind}: round {max(turn, 1)} of {rounds}")
            # The order alternates: the second of a pair finds a warmer CPU.
            order = ("a", "b") if turn % 2 else ("b", "a")
            for key in order:
                time.sleep(REST)
                seconds[key].append(self.processes[key].call(do, batch=0)["seconds"])
        return [seconds[key][1:] for key in ("a", "b")]  # the first warms up

    def agreement(self, steps: int, as_run: float) -> dict[str, Any]:
        """Return how far the two are apart with equal weights, and what rounding alone does.

        Args:
            steps: training steps of the loss curves.
            as_run: largest difference of the losses as the two run.
        """
        plain = {key: {"plain": True} for key in self.processes}
        uses_operator = any(process.call("uses_operator") for process in self.processes.values())
        self.log("outputs and gradients with equal weights, by plain Paddle")
        both = self.outputs(plain)
        found: dict[str, Any] = {"plain": self.apart(*both.values())}
        self.restart()
        losses = self.losses(steps, plain)
        found["plain"]["curve"] = self.curve_apart(losses["a"], losses["b"])
        reference = reference_of(*(side.kind for side in self.sides.values()))
        self.log(f"the same of {self.names[reference]} with images changed by rounding")
        noisy = {reference: {"plain": True, "noise": NOISE}}
        found["noise"] = self.apart(both[reference], self.outputs(noisy)[reference])
        self.restart()
        noisy_losses = self.losses(steps, noisy)[reference]
        found["noise"]["curve"] = self.curve_apart(losses[reference], noisy_losses)
        found["operator"] = None
        if uses_operator:
            self.log("outputs and gradients with the CPU operator")
            both = self.outputs({key: {} for key in self.processes})
            found["operator"] = self.apart(*both.values())
            found["operator"]["curve"] = {"max_abs": as_run}
        return {**found, "reference": reference}

    def outputs(self, how: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return logits, loss and gradients of the first batch, from the common weights."""
        self.restart()
        outputs = {}
        for key, options in how.items():
            path = str(self.folder / f"outputs-{key}.safetensors")
            loss = self.processes[key].call("outputs", path=path, **options)["loss"]
            outputs[key] = {**load_file(path), "loss": loss}
        return outputs

    def apart(self, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        gradients = [
            {name: array for name, array in arrays.items() if name.startswith("gradient ")}
            for arrays in (a, b)
        ]
        if gradients[0].keys() != gradients[1].keys():
            raise UserError(
                "the networks agree in their weights' names, but not in what is trained."
            )
        gradients_apart = diff.gradients(*gradients)
        gradients_apart["where"] = (
            gradients_apart["where"] and gradients_apart["where"].partition(" ")[2]
        )
        loss = {"a": a["loss"], "b": b["loss"], "max_abs": abs(a["loss"] - b["loss"])}
        return {
            "logits_eval": diff.arrays(a["eval"], b["eval"]),
            "logits_train": diff.arrays(a["train"], b["train"]),
            "loss": loss,
            "gradients": gradients_apart,
        }

    @staticmethod
    def curve_apart(a: list[float], b: list[float]) -> dict[str, float]:
        return {"max_abs": _largest([abs(x - y) for x, y in zip(a, b)])}

    def train(self, budget: float, seed: int, data: str | None) -> dict[str, Any]:
        self.restart()
        overrides = [f"train.budget={budget}", f"train.seed={seed}", "data.validation=0"]
        overrides += [f"data.root={data}"] if data else []
        self.log(f"training in turns, {budget:g} s each")
        results: dict[str, Any] = {"budget": budget}
        for process in self.processes.values():
            process.send("train", overrides=overrides)
            # It waits before its first round, with the data loaded.
            process.receive()
        working = dict(self.processes)
        while working:
            for key, process in list(working.items()):
                process.send("continue")
                answer = process.receive()
                if "done" in answer:
                    results[key] = answer["done"]
                    accuracy = results[key]["test"]["acc_top1"]
                    self.log(f"{self.names[key]}: test accuracy {accuracy:.2%}")
                    del working[key]
        return results


def _largest(values: list[float]) -> float:
    """Return the largest; a NaN is larger than all."""
    return max(values, key=lambda x: (x != x, x))


def _labels(a: ModelSpec, b: ModelSpec) -> dict[str, str]:
    """Return the names to show; a network beside itself is a measurement of the measurement."""
    return {"a": a.name, "b": b.name if b.name != a.name else f"{b.name} (again)"}


def _check(batch_size: int, image_size: int | None, steps: int, rounds: int, seed: int) -> None:
    least = {"batch-size": (batch_size, 2), "steps": (steps, 1)}
    if image_size is not None:
        least["image-size"] = (image_size, 8)
    least.update({"rounds": (rounds, 1), "seed": (seed, 0)})
    for option, (value, lowest) in least.items():
        if value < lowest:
            raise UserError(f"--{option} is {value}, expected {lowest} or more.")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: non-finite numbers become None."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
