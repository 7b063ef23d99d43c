"""Gain of the CPU runtime set-up: training steps with and without it, in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

from ..stats import ratios

# Both sides run this, in processes of their own, since Paddle reads its environment only once. The
# network is Paddle's own on both sides: what differs is whether the package was imported before.
_WORKER = """
import sys, time
if sys.argv[1] == "ours":
    import paddle_resnet
    paddle_resnet.cpu_runtime.import_paddle()
import paddle
from paddle import nn
paddle.seed(0)
network = paddle.vision.models.resnet50(num_classes=10)
if sys.argv[2] == "cifar":
    network.conv1 = nn.Conv2D(3, 64, 3, padding=1, bias_attr=False)
    network.maxpool = nn.Identity()
optimizer = paddle.optimizer.Momentum(0.01, parameters=network.parameters())
images = paddle.randn([int(sys.argv[3]), 3, 32, 32])
labels = paddle.randint(0, 10, [int(sys.argv[3])])
for line in sys.stdin:
    began = time.perf_counter()
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    float(loss)
    print("seconds", time.perf_counter() - began, flush=True)
"""


def measure(*, stem: str = "cifar", batch_size: int = 32, rounds: int = 5) -> dict[str, Any]:
    """Time training steps of ``paddle.vision``'s ResNet-50 on 32-pixel images.

    Two processes take turns, one with Paddle as installed and one that imported this package
    first, so that a burst of load elsewhere on the machine hits both.

    Args:
        stem: ``cifar`` or ``imagenet``.
        batch_size: images of a step.
        rounds: steps of each side that count; one more comes before them and does not.

    Returns:
        dict: ``ours`` and ``stock`` (images per second, medians), ``ratio`` (median of the rounds'
        ratios), ``ratio_min``, ``ratio_max``, ``rounds``, ``stem``, ``batch_size``.

    Raises:
        RuntimeError: a side could not run.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MALLOC_"))}
    with ExitStack() as stack:
        sides = {}
        for side in ("stock", "ours"):
            command = [sys.executable, "-c", _WORKER, side, stem, str(batch_size)]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**clean, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
            sides[side] = stack.enter_context(process)
            stack.callback(process.kill)
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds + 1):
            for side, process in sides.items():
                seconds[side].append(_step(process))
    stock, ours = seconds["stock"][1:], seconds["ours"][1:]
    return {
        "ours": batch_size / statistics.median(ours),
        "stock": batch_size / statistics.median(stock),
        **ratios(ours, stock),
        "rounds": rounds,
        "stem": stem,
        "batch_size": batch_size,
    }


def _step(process: subprocess.Popen) -> float:
    process.stdin.write("step\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise RuntimeError("a side of the measurement ended: is there enough memory?")
