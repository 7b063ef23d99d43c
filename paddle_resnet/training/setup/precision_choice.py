"""What `train.precision: auto` is for a run: the faster of float32 and bfloat16, by measurement.

Units for bfloat16 do not decide it: where they give only twice float32's rate, Winograd's algorithm
in float32 can be faster. Which one is depends on the network, the batch and the CPU. Measurements
are noisy, and results differ between the two, so that a choice is kept in the cache folder: the
same training on the same machine repeats bit for bit.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import Callable, Optional

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from ... import cpu_runtime
from ...config import Config
from ...data.splits import DataSplits
from ...distributed.collectives import broadcast_from_rank0, world_size
from ...io.atomic_files import atomic_write_json, cache_folder
from ...kernels import build
from ...kernels.algorithm_choice import wanted_algorithm
from ...models.precision import Precision
from ..loop.step import as_list, training_loss

#: Seconds that one measured step takes about at most; larger batches are cut to fewer images. Not
#: much less: in small batches the weights' cost hides that of the images, and float32 looks fast.
_STEP_SECONDS = 0.5
#: Images in the first step, by which the number is chosen: a multiple of these, for odd numbers can
#: take other algorithms than the run's batches do.
_FEWEST = 16
#: Measured steps in each precision, in turns: at least the first number, more until the second one
#: or until so many seconds have passed.
_STEPS, _MOST_STEPS, _SECONDS = 2, 5, 1.5
_CHOICES = ("float32", "bfloat16")


def choose_precision(
    config: Config, network: nn.Layer, splits: DataSplits, log: Callable[[str], None]
) -> Config:
    """Return the recipe with what ``auto`` is here, so that the run stays with it.

    Where the CPU has units for bfloat16 and the operator, training steps (forward and backward
    pass) on the run's first images are measured in both, unless this was done before for the same
    network, batch, threads, CPU and operator. Of several processes, the first one decides. Weights,
    statistics, gradients and random numbers stay as they are.

    Args:
        config: the recipe.
        network: the run's, with any weights.
        splits: the run's data.
        log: takes a line with what was measured.

    Raises:
        Unavailable: ``PADDLE_RESNET_KERNELS=require``, and the operator cannot be built.
    """
    if config.train.precision != "auto":
        return config
    dtype = broadcast_from_rank0(lambda: _faster(config, network, splits, log))
    return dataclasses.replace(config, train=dataclasses.replace(config.train, precision=dtype))


def _faster(
    config: Config, network: nn.Layer, splits: DataSplits, log: Callable[[str], None]
) -> str:
    if Precision("auto").dtype == "float32":
        return "float32"  # no units, no operator, or a GPU
    kept = _file(config, network, splits)
    known = _read(kept)
    if known is not None:
        log(f"precision: {known}, measured at an earlier start (kept in {kept})")
        return known
    generator = paddle.get_rng_state()
    try:
        seconds, images = _measure(config, network, splits)
    finally:
        paddle.set_rng_state(generator)
    dtype = min(seconds, key=seconds.__getitem__)
    _keep(kept, {"dtype": dtype, "images": images, "seconds": seconds})
    measured = ", ".join(f"{name} {1000 * value:,.0f} ms" for name, value in seconds.items())
    log(f"precision: {dtype}, measured by training steps of {images} images: {measured}")
    return dtype


def choices_folder() -> Path:
    """Return the folder of what was measured before."""
    return cache_folder() / "precision"


def _file(config: Config, network: nn.Layer, splits: DataSplits) -> Path:
    """Return the file for the choice, named by all that it depends on."""
    facts = [
        config.model.name,
        config.model.options,
        [parameter.shape for parameter in network.parameters()],
        splits.input_shape,
        _images_of_a_rank(config),
        cpu_runtime.RUNTIME.threads,
        cpu_runtime.cpu_model(),
        Path(build.library()._name).name,  # with the hash of the operator's source, Paddle and CPU
        wanted_algorithm(),
    ]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return choices_folder() / f"{config.model.name}-{digest[:16]}.json"


def _read(file: Path) -> Optional[str]:
    """Return what was chosen before, or None."""
    try:
        dtype = json.loads(file.read_text("utf-8"))["dtype"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dtype if dtype in _CHOICES else None


def _keep(file: Path, content: dict[str, object]) -> None:
    """Write a choice; where the cache cannot be written, the next start measures again."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_json(file, content)


def _measure(config: Config, network: nn.Layer, splits: DataSplits) -> tuple[dict[str, float], int]:
    """Return the seconds of the fastest step by dtype, and the images in a step."""
    network = copy.deepcopy(network)
    network.train()
    precisions = {dtype: Precision(dtype) for dtype in _CHOICES}
    most = min(_images_of_a_rank(config), len(splits.train.images))
    fewest = min(_FEWEST, most)
    few = _first_images(splits, fewest)
    step_seconds(network, *few, precisions["float32"])  # loads code, chooses algorithms
    taken = step_seconds(network, *few, precisions["float32"])
    count = min(most, fewest * max(1, round(_STEP_SECONDS / taken)))
    batch = _first_images(splits, count)
    measured: dict[str, list[float]] = {dtype: [] for dtype in precisions}
    for done in range(1 + _MOST_STEPS):
        if done > _STEPS and sum(map(sum, measured.values())) > _SECONDS:
            break
        for dtype, precision in precisions.items():
            measured[dtype].append(step_seconds(network, *batch, precision))
    # The first of each loads code; of the others the fastest is the least disturbed one.
    return {dtype: min(times[1:]) for dtype, times in measured.items()}, count


def _images_of_a_rank(config: Config) -> int:
    return -(-config.train.batch_size // world_size())


def _first_images(splits: DataSplits, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return normalized training images and their labels."""
    batches = list(splits.train.subset(np.arange(count)))
    return tuple(np.concatenate(parts) for parts in zip(*batches))


def step_seconds(
    network: nn.Layer, images: np.ndarray, labels: np.ndarray, precision: Precision
) -> float:
    """Return the seconds of one forward and backward pass.

    Args:
        network: in training mode; its statistics change, its gradients are cleared.
        images: float32 ``[N, C, H, W]``.
        labels: int64 ``[N]`` or ``[N, 1]``.
        precision: what it computes in.
    """
    x, y = paddle.to_tensor(images), paddle.to_tensor(labels)
    loss_of = training_loss(network, F.cross_entropy)
    begin = time.perf_counter()
    with precision.autocast():
        losses = as_list(loss_of(*as_list(network(x)), y))
        loss = paddle.add_n([each.mean() for each in losses])
    loss.backward()
    float(loss)
    seconds = time.perf_counter() - begin
    network.clear_gradients()
    return seconds
