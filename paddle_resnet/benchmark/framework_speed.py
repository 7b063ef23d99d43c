"""Training and inference speed: ours, Paddle as installed, PyTorch; interleaved."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Optional

from .. import cpu_runtime
from ..cpu_runtime import RUNTIME
from ..errors import UserError
from ..io.child_process import ChildEnded, ChildProcess
from ..stats import ratios
from .step_speed import stem_of

_SCRIPTS = Path(__file__).parent / "framework_scripts"
_PACKAGE = Path(__file__).parents[2]


def measure(
    what: str,
    *,
    model: str = "resnet50",
    stem: Optional[str] = None,
    batch_size: int = 64,
    image_size: int = 32,
    rounds: int = 5,
    precision: str = "float32",
    compiled: bool = False,
    torch_python: Optional[str] = None,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time whole steps of all sides that can run here, each in its own process, in turns.

    Args:
        what: ``train`` (forward, backward, momentum) or ``infer``.
        model, stem, batch_size, image_size: the network and its images. The stem's default is
            ``cifar``, where the network can choose.
        rounds: turns that count; one more comes before them and does not.
        precision: of ours, ``float32`` or ``bfloat16``; with bfloat16 there is a side of ours in
            float32 too. PyTorch computes in both, where the CPU has bfloat16 units or it is asked.
        compiled: whether PyTorch is also measured under ``torch.compile``.
        torch_python: an interpreter that has torch (and torchvision); default: this one.
        log: called with lines of progress.

    Returns:
        dict: ``sides``: for each side ``images_per_second`` (median), ``memory`` (peak, bytes) and,
        but for ours, ``ratio``, ``ratio_min``, ``ratio_max``: how many times as fast ours is
        (median, least and most of the rounds); the arguments; ``cpu``, ``cores``, ``threads``.

    Raises:
        ModelError: an unknown network, or one that cannot have the stem.
        UserError: a side ended, most often for lack of memory, or ours cannot run.
    """
    import paddle

    stem = stem_of(model, stem)  # raises before any process is started
    if torch_python is not None and shutil.which(torch_python) is None:
        raise UserError(f"--torch-python is '{torch_python}': there is no such program.")
    asked = {
        "model": model,
        "stem": stem,
        "batch_size": batch_size,
        "image_size": image_size,
        "compile": False,
        "precision": precision,
        "kernels": "require",
    }
    full = {**asked, "precision": "float32"}
    with ExitStack() as stack:
        sides = {"ours": stack.enter_context(_side("ours", "ours.py", asked))}
        if precision != "float32":
            name = "ours, float32"
            sides[name] = stack.enter_context(_side(name, "ours.py", full))
        plain = "ours, plain Paddle"
        sides[plain] = stack.enter_context(_side(plain, "ours.py", {**full, "kernels": "off"}))
        if hasattr(paddle.vision.models, model):
            sides["Paddle as installed"] = stack.enter_context(
                _side("Paddle as installed", "paddle_stock.py", full)
            )
        for name, options in _torch_sides(torch_python, precision, compiled, log).items():
            python = torch_python or sys.executable
            sides[name] = stack.enter_context(
                _side(name, "torch_resnet.py", {**full, **options}, python)
            )
        answers: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for turn in range(rounds + 1):
            log(f"round {turn} of {rounds}" if turn else "warming up")
            for name, process in sides.items():
                answers[name].append(_measured(process, what))
    seconds = {name: [a["seconds"] for a in given[1:]] for name, given in answers.items()}
    table: dict[str, dict[str, float]] = {}
    for name, times in seconds.items():
        table[name] = {
            "images_per_second": batch_size / statistics.median(times),
            "memory": answers[name][-1]["memory"],
        }
        if name != "ours":
            table[name].update(ratios(seconds["ours"], times))
    return {
        "what": what,
        "sides": table,
        "rounds": rounds,
        **{key: asked[key] for key in ("model", "stem", "batch_size", "image_size", "precision")},
        "cpu": cpu_runtime.cpu_model(),
        "cores": RUNTIME.cores,
        "threads": RUNTIME.threads,
    }


def text(metrics: dict[str, Any]) -> str:
    """Return the table."""
    stem = f", {metrics['stem']} stem" if metrics["stem"] else ""
    lines = [
        f"{metrics['what']} {metrics['model']}{stem}, batch "
        f"{metrics['batch_size']} at {metrics['image_size']}x{metrics['image_size']}, ours in "
        f"{metrics['precision']}, median of {metrics['rounds']}; {metrics['cpu']}, "
        f"{metrics['cores']} cores",
        f"{'':<34}{'images/s':>10}{'peak memory':>14}   ours is ... times as fast",
    ]
    for name, row in metrics["sides"].items():
        ratio = ""
        if "ratio" in row:
            ratio = f"   {row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})"
        lines.append(
            f"{name:<34}{row['images_per_second']:>10.1f}{row['memory'] / 2**20:>10.0f} MiB{ratio}"
        )
    return "\n".join(lines)


def _torch_sides(
    python: Optional[str], precision: str, compiled: bool, log: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    if python is None and importlib.util.find_spec("torch") is None:
        log("PyTorch is not installed here: --torch-python names a Python that has it")
        return {}
    sides: dict[str, dict[str, Any]] = {"PyTorch float32 channels_last": {}}
    # Without the instructions PyTorch emulates bfloat16, which nobody would use unasked.
    if cpu_runtime.has_bfloat16_units() or precision == "bfloat16":
        sides["PyTorch bfloat16 channels_last"] = {"precision": "bfloat16"}
    if compiled:
        best = list(sides.items())[-1]
        sides[f"{best[0]}, compiled"] = {**best[1], "compile": True}
    return sides


def _side(
    name: str, script: str, asked: dict[str, Any], python: str = sys.executable
) -> ChildProcess:
    """Start a script of ``framework_scripts/`` in its own process."""
    # The package's own settings apply to its side alone; the others run as a user starts them.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MALLOC_"))}
    if script == "ours.py":
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(_PACKAGE), environment.get("PYTHONPATH", "")])
        )
        environment["PADDLE_RESNET_KERNELS"] = asked["kernels"]
    else:
        environment.pop("PYTHONPATH", None)
    return ChildProcess(name, [python, str(_SCRIPTS / script), json.dumps(asked)], environment)


def _measured(side: ChildProcess, what: str) -> dict[str, float]:
    """Let a side do a step; return ``seconds`` and ``memory``."""
    try:
        return side.call(what)
    except ChildEnded as error:
        raise UserError(f"the side '{side.name}' ended: {error.last_line}") from None
