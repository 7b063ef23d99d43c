"""Feeds mutated checkpoints to everything that reads them.

    python tests/checkpoint_fuzz.py --inputs 5000

Half of the mutations are of bytes, and the checksum must notice them. The other half are of what
the file says, with the checksum made again: parts must refuse what they cannot use.
"""

from __future__ import annotations

import contextlib
import random
import sys
from pathlib import Path
from typing import Any

import fuzzing
import numpy as np

import paddle_resnet  # noqa: F401 - before Paddle
from paddle_resnet.config import load_config
from paddle_resnet.runs.checkpoint_file import checkpoint_bytes, load_checkpoint
from paddle_resnet.training.loop.train_state import TrainState

ODD: list[Any] = [
    None, True, -1, 0, 10**30, 1.5, -0.0, float("nan"), float("inf"), "", "text", [], {}, [1], [[]],
    {"a": 1}, np.zeros(0), np.zeros([2, 2]), np.array(7), np.array([True]), "\x00", "9" * 5000,
]  # fmt: skip
SECONDS = 20


def small_training(place: Path) -> tuple[TrainState, dict[str, Any]]:
    """Return a training in the midst of an epoch, with a folder of its own, and its state dict."""
    import paddle

    from paddle_resnet.data.splits import load_splits
    from paddle_resnet.layers import BasicBlock
    from paddle_resnet.models import ResNet
    from paddle_resnet.runs.run_folder import RunFolder
    from paddle_resnet.runs.run_writer import RunWriter
    from paddle_resnet.training.callbacks.metric_logger import MetricLogger
    from paddle_resnet.training.checkpointer import BestMetrics
    from paddle_resnet.training.loop.progress import Progress, StepPlan
    from paddle_resnet.training.loop.speed import SpeedMonitor
    from paddle_resnet.training.loop.training_loop import train
    from paddle_resnet.training.setup.build_state import build_state
    from paddle_resnet.training.setup.dataset_check import DatasetCheck

    overrides = (
        *("data.root=sample", "data.max_train_images=64", "train.batch_size=16"),
        *("train.budget=null", "train.epochs=2", "plateau.patience=1", "early_stopping.patience=2"),
        *("ema.decay=0.9",),
    )
    config = load_config("quickstart", overrides)
    splits = load_splits(config, notify=lambda line: None)
    network = ResNet((1,), BasicBlock, 10, widths=(4,), stem="cifar")
    progress, speed = Progress(StepPlan(2, 8)), SpeedMonitor()
    state = build_state(config, network, splits, progress, speed, lambda line: None)
    schedule = paddle.optimizer.lr.StepDecay(1e-3, 2)
    state.optimizer = paddle.optimizer.AdamW(schedule, parameters=network.parameters())
    state.learning_rate.optimizer = paddle.optimizer.SGD(parameters=network.parameters())
    folder = RunFolder(place / "run")
    folder.path.mkdir()
    writer = RunWriter(folder, log=lambda line: None)
    state.callbacks.append(MetricLogger(writer, visualdl=False))
    state.best, state.dataset_check = BestMetrics(), DatasetCheck(splits, print)
    state.best.update(1, {"val_acc_top1": 0.5, "val_loss": 1.5})
    snapshots = []

    class Stop(Exception):
        pass

    class Snapshot:
        def after_step(self, state: TrainState) -> None:
            if state.progress.step == 2:
                snapshots.append(state.state_dict())
                raise Stop

    with contextlib.suppress(Stop):
        train(state, callbacks=state.callbacks, checkpointer=Snapshot())
    return state, snapshots[0]


def _places(value: Any, place: tuple = ()) -> list[tuple]:
    found = [place] if place else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, inner in items:
        found += _places(inner, (*place, key))
    return found


def _mutated(state: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a copy in which one to three entries are gone, odd, or at another's place."""

    def copy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copy(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [copy(inner) for inner in value]
        return value.copy() if isinstance(value, np.ndarray) else value

    state = copy(state)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        places = _places(state)
        if not places:
            break
        # Few entries hold no arrays, and most are: give each depth its chance.
        depth = chance.choice(sorted({len(place) for place in places}))
        *way, last = chance.choice([place for place in places if len(place) == depth])
        here = state
        for key in way:
            here = here[key]
        kind = chance.randrange(4)
        if kind == 0 and isinstance(here, dict):
            del here[last]
        elif kind == 1 and isinstance(here[last], np.ndarray):
            here[last] = chance.choice(
                [here[last].astype("f8"), here[last].ravel()[:1], here[last][None], here[last] * 0]
            )
        elif kind == 2 and isinstance(here, dict):
            here[chance.choice(["", "x", f"{last}'", "epoch"])] = here.pop(last)
        else:
            here[last] = chance.choice(ODD)
    return state


def _damaged(content: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(5)
    place = chance.randrange(len(content))
    if chance.random() < 0.5:  # the header is where a parser can stumble
        place = chance.randrange(min(len(content), 4000))
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + chance.randbytes(chance.randrange(1, 9)) + content[place:]
    if kind == 2:
        return content[:place] + content[place + chance.randrange(1, 99) :]
    damaged = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        damaged[(place + chance.randrange(64)) % len(content)] = chance.randrange(256)
    return bytes(damaged)


def fuzz(inputs: int, chance: random.Random, place: Path) -> dict[str, int]:
    """Read this many mutated checkpoints into the parts of a training; count what came of it."""
    state, snapshot = small_training(place)
    content = checkpoint_bytes(snapshot)
    path = place / "mutated.safetensors"

    def feed(number: int) -> None:
        if not number % 2:
            path.write_bytes(_damaged(content, chance))
            state.load_state_dict(load_checkpoint(path).state, str(path))
            return
        path.write_bytes(checkpoint_bytes(_mutated(snapshot, chance)))
        try:
            state.load_state_dict(load_checkpoint(path).state, str(path))
        finally:  # whatever a bad one has done, a valid one must be able to undo
            state.load_state_dict(snapshot, "the snapshot")

    return fuzzing.count(inputs, SECONDS, feed)


if __name__ == "__main__":
    sys.exit(fuzzing.main(__doc__, 5000, fuzz))
