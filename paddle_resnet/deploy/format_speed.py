"""How fast a network is in each runtime that it can be exported to: one interleaved table."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import paddle

from .. import cpu_runtime
from ..errors import DataError, DeployError, UserError, WeightsError
from ..models import create_model, list_models, model_info
from ..models.precision import Precision
from .exporting.onnx_export import check_converter, convert, finish
from .exporting.program import save_program
from .exporting.quantize import quantize
from .onnx_file import read_onnx
from .runtimes import OnnxRuntime, OpenVino, PaddleInference
from .source import Source, calibration_images, open_source, random_images

#: Instructions that decide what int8 and bfloat16 are worth.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
BATCHES = (1, 16)
Run = Callable[[np.ndarray], Any]


def measure(
    source: Union[str, Path],
    *,
    rounds: int = 5,
    data: Optional[str] = None,
    log: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Time a network in all runtimes that are installed, batch by batch in turn.

    All have as many threads as Paddle: all cores, or ``OMP_NUM_THREADS``.

    Args:
        source: as of `export`; or a network's name alone, with random weights where there are no
            others.
        rounds: batches of each size that count; one more comes before them and does not.
        data: images for the calibration of int8. Default: the network's own; random ones, which
            is enough for its speed, where there are none.
        log: takes lines for people.

    Returns:
        dict: ``model``, ``threads``, ``rounds``, ``cpu``, ``flags``, ``rows``: for each runtime
        ``name`` and, by batch size, medians of milliseconds per image: ``cpu_ms`` of the process's
        time and ``wall_ms``.

    Raises:
        DeployError: the network cannot be exported.
        WeightsError: no such source.
    """
    check_converter()
    opened = _open(source, log)
    threads = cpu_runtime.RUNTIME.threads
    images = random_images(opened.trained.input_shape, max(BATCHES))
    with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as name:
        sides = _sides(opened, Path(name), threads, data, log)
        rows = _interleave(sides, images, rounds, log)
    flags = cpu_runtime.cpu_flags()
    return {
        "model": opened.trained.model,
        "input_shape": opened.trained.input_shape,
        "threads": threads,
        "rounds": rounds,
        "cpu": cpu_runtime.cpu_model(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "rows": rows,
    }


def text(metrics: dict[str, Any]) -> str:
    """Return the table for people."""
    shape = "x".join(map(str, metrics["input_shape"]))
    lines = [
        f"{metrics['model']} at {shape}, {metrics['threads']} thread(s), medians of "
        f"{metrics['rounds']} rounds in turn, milliseconds per image",
        f"{metrics['cpu']}: {' '.join(metrics['flags']) or 'no vector units that are known'}",
        f"{'':<44}{'batch 1':>20}{'batch 16':>20}",
        f"{'':<44}{'CPU':>10}{'wall':>10}{'CPU':>10}{'wall':>10}",
    ]
    for row in metrics["rows"]:
        cells = "".join(
            f"{row['cpu_ms'][str(n)]:>10.2f}{row['wall_ms'][str(n)]:>10.2f}" for n in BATCHES
        )
        lines.append(f"{row['name']:<44}{cells}")
    return "\n".join(lines)


def _open(source: Union[str, Path], log: Callable[[str], None]) -> Source:
    try:
        return open_source(source)
    except WeightsError as error:
        if str(source) not in list_models():
            raise
        log(f"Notice: {error} The weights are random: their speed is the same.")
    size = model_info(str(source)).input_size
    network = create_model(str(source))
    classes = [str(index) for index in range(network.num_classes)]
    return open_source(network, classes=classes, input_shape=[3, size, size], model=str(source))


def _sides(
    source: Source, folder: Path, threads: int, data: Optional[str], log: Callable[[str], None]
) -> dict[str, Run]:
    """Export the network and return what is timed, by name."""
    trained, manifest = source.trained, source.manifest("float32")
    with_softmax = folder / "paddle"
    with_softmax.mkdir()
    saved = save_program(trained.network, trained.input_shape, with_softmax, softmax=True)
    program = save_program(trained.network, trained.input_shape, folder, softmax=False)
    convert(*program, folder / "bare.onnx")
    finish(folder / "bare.onnx", manifest, folder / "float32.onnx")
    images = _calibration(source, data, log)
    quantize(folder / "bare.onnx", folder / "bare8.onnx", images, *manifest.affine())
    finish(folder / "bare8.onnx", manifest, folder / "int8.onnx")

    has_units = cpu_runtime.has_bfloat16_units()
    dtypes = ["float32", "bfloat16"] if has_units else ["float32"]
    sides: dict[str, Run] = {}
    for dtype in dtypes:
        precision = Precision(dtype)
        if precision.dtype == dtype:
            sides[f"paddle {paddle.__version__} eager, {dtype}"] = _eager(source, precision)
    for options in ({"onednn": False}, *({"precision": dtype} for dtype in dtypes)):
        runtime = PaddleInference(*saved, manifest, threads, **options)
        sides[runtime.name] = runtime.run
    for name in ("float32", "int8"):
        content, _ = read_onnx(folder / f"{name}.onnx")
        runtime = OnnxRuntime(content, threads)
        sides[f"{runtime.name}, {name}"] = runtime.run
        try:
            for dtype in dtypes if name == "float32" else ["float32"]:
                vino = OpenVino(content, threads, dtype)
                sides[vino.name + (", int8" if name == "int8" else "")] = vino.run
        except DeployError as error:
            if name == "float32":
                log(f"Notice: {error}")
    return sides


def _calibration(source: Source, data: Optional[str], log: Callable[[str], None]) -> np.ndarray:
    try:
        return calibration_images(source, data, 100, 0, log)
    except (DataError, UserError):
        if data is not None:
            raise
        log("Notice: int8 is calibrated with random images, which is enough for its speed.")
        return random_images(source.trained.input_shape, 8)


def _eager(source: Source, precision: Precision) -> Run:
    def run(images: np.ndarray) -> None:
        with precision.autocast():
            source.logits(images)

    return run


def _interleave(
    sides: dict[str, Run], images: np.ndarray, rounds: int, log: Callable[[str], None]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"name": name, "cpu_ms": {}, "wall_ms": {}} for name in sides]
    for size in BATCHES:
        batch = np.ascontiguousarray(images[:size])
        times: list[list[tuple[float, float]]] = [[] for _ in sides]
        for index in range(rounds + 1):
            log(f"batch of {size}, " + (f"round {index} of {rounds}" if index else "warming up"))
            for run, each in zip(sides.values(), times):
                each.append(_time(run, batch))
        for row, each in zip(rows, times):
            for name, values in zip(("cpu_ms", "wall_ms"), zip(*each[1:])):
                row[name][str(size)] = 1000 * statistics.median(values) / size
    return rows


def _time(run: Run, batch: np.ndarray) -> tuple[float, float]:
    """Return seconds of CPU and wall of one batch; short ones are repeated."""
    cpu, wall, count = time.process_time(), time.perf_counter(), 0
    while True:
        run(batch)
        count += 1
        seconds = time.perf_counter() - wall
        if count == 20 or seconds > 0.05:
            return (time.process_time() - cpu) / count, seconds / count
