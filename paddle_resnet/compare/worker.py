"""One side of a comparison, in a process of its own so that its peak memory is its own.

The protocol is that of :mod:`paddle_resnet.io.child_process`.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np

from .. import cpu_runtime
from ..errors import ModelError, UserError
from ..io.child_process import serve

#: Momentum with an L2 penalty, as in Paddle's high-level-API lesson, at a hundredth of its rate: at
#: 0.001, ten steps of a fresh ResNet-50 amplify rounding to a tenth of the loss.
RATE, MOMENTUM, DECAY = 1e-4, 0.9, 1e-4
#: Share of itself by which images are changed to see what rounding alone does: one unit in the last
#: place of a float32.
NOISE = 1e-7


class Worker:
    """Requests that a side answers; every method takes and returns JSON types."""

    def __init__(self, log: Callable[[str], None], wait: Callable[[], None] = lambda: None) -> None:
        self.log = log
        self.wait = wait

    def build(self, side: dict[str, Any], seed: int, sizes: list[int]) -> dict[str, Any]:
        """Build the network and count it on square images of these sizes."""
        from ..models.counting import count
        from .model_spec import ModelSpec, build

        before = peak_memory()
        self.side = ModelSpec(**side)
        self.seed = seed
        network = build(self.side, seed)
        self.network = network
        self._new_optimizer()
        tables = [self._possible(lambda s=s: count(network, (3, s, s)), s) for s in sizes]
        kinds = {"convolutions": "conv", "projections": "projection", "linears": "linear"}
        return {
            "memory_before": before,
            "keys": {name: list(t.shape) for name, t in network.state_dict().items()},
            "counts": {
                "parameters": tables[0].total("parameters"),
                "statistics": tables[0].total("statistics"),
                "macs": {str(s): t.total("macs") for s, t in zip(sizes, tables)},
                **{name: tables[0].layers(kind) for name, kind in kinds.items()},
                "gates": tables[0].layers("gate"),
            },
        }

    def save(self, path: str) -> None:
        """Write weights and running statistics."""
        from ..weights import save_weights

        save_weights(self.network, path)

    def load(self, path: str) -> None:
        """Load weights and running statistics, and reset the optimizer."""
        from ..weights import read_weights
        from ..weights.save_load import assign_weights

        assign_weights(self.network, read_weights(path)[0], path)
        self._new_optimizer()

    def _new_optimizer(self) -> None:
        import paddle

        self.optimizer = paddle.optimizer.Momentum(
            RATE, MOMENTUM, parameters=self.network.parameters(), weight_decay=DECAY
        )

    def images(self, path: str, mean: Any, std: Any, size: int) -> None:
        """Load the batches of a file: ``images`` uint8 [B, N, 3, 32, 32], ``labels`` [B, N]."""
        import paddle

        with np.load(path) as file:
            self.batches, self.labels = file["images"], file["labels"]
        self.mean, self.std, self.size = mean, std, size
        self.network.eval()
        with paddle.no_grad():
            self._possible(lambda: self._logits(self._batch(0)[0]), size)

    def step(self, batch: int, plain: bool = False, noise: float = 0.0) -> dict[str, float]:
        """Do a training step.

        Args:
            batch: index of the batch.
            plain: whether Paddle's own operators compute it, whatever the environment says.
            noise: share of itself by which each value of the images is changed, up or down.

        Returns:
            dict: ``loss`` before the step, and ``seconds`` without the loading of images.
        """
        import paddle
        from paddle.nn.functional import cross_entropy

        images, labels = self._batch(batch, noise)
        self.network.train()
        paddle.seed(self.seed + batch)  # dropout, where there is any
        began = time.perf_counter()
        with _operators(plain):
            loss = cross_entropy(self._logits(images), labels)
            loss.backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        value = float(loss)
        return {"loss": value, "seconds": time.perf_counter() - began}

    def infer(self, batch: int) -> dict[str, float]:
        """Time one pass over a batch in eval mode."""
        import paddle

        images, _ = self._batch(batch)
        self.network.eval()
        with paddle.no_grad():
            began = time.perf_counter()
            self._logits(images).numpy()
            return {"seconds": time.perf_counter() - began}

    def memory(self) -> float:
        """Return the most memory that this process ever held, in bytes."""
        return peak_memory()

    def uses_operator(self) -> bool:
        """Return whether the CPU operator computes any layer of the network."""
        import paddle

        from ..kernels import conv_bn_act

        before = conv_bn_act.fused_calls
        self.network.eval()
        with paddle.no_grad():
            self._logits(self._batch(0)[0][:1])
        return conv_bn_act.fused_calls > before

    def outputs(self, path: str, plain: bool = False, noise: float = 0.0) -> dict[str, float]:
        """Write logits of both modes and all gradients of the first batch; return the loss.

        The arguments are those of :meth:`step`.
        """
        import paddle
        from paddle.nn.functional import cross_entropy
        from safetensors.numpy import save_file

        images, labels = self._batch(0, noise)
        with _operators(plain):
            self.network.eval()
            with paddle.no_grad():
                arrays = {"eval": self._logits(images).numpy()}
            self.network.train()
            paddle.seed(self.seed)  # dropout, where there is any
            logits = self._logits(images)
            loss = cross_entropy(logits, labels)
            loss.backward()
        arrays["train"] = logits.numpy()
        for name, tensor in self.network.state_dict().items():
            if not tensor.stop_gradient and tensor.grad is not None:
                arrays[f"gradient {name}"] = np.ascontiguousarray(tensor.grad.numpy())
        self.optimizer.clear_grad()
        save_file(arrays, path)
        return {"loss": float(loss)}

    def train(self, overrides: list[str]) -> dict[str, Any]:
        """Train by the quickstart's recipe with some keys changed, waiting behind every round."""
        from ..config import load_config
        from ..data.splits import load_splits
        from ..training.timed_training import timed_training

        config = load_config("quickstart", tuple(overrides))
        splits = load_splits(config, notify=self.log)
        self.wait()
        return timed_training(self._single_output(), config, splits, self.log, self.wait)

    def _batch(self, index: int, noise: float = 0.0) -> tuple[Any, Any]:
        import paddle
        from paddle.nn.functional import interpolate

        from ..data import BatchLoader

        index %= len(self.batches)
        loader = BatchLoader(
            self.batches[index],
            self.labels[index],
            len(self.batches[index]),
            mean=self.mean,
            std=self.std,
        )
        images, labels = next(iter(loader))
        images = paddle.to_tensor(images)
        if self.size != images.shape[-1]:
            images = interpolate(images, [self.size, self.size], mode="bilinear")
        if noise:
            signs = np.random.default_rng(index).choice([-1.0, 1.0], images.shape)
            images = images * paddle.to_tensor((1 + noise * signs).astype(np.float32))
        return images, paddle.to_tensor(labels)

    def _logits(self, images: Any) -> Any:
        """Return the main logits; networks with auxiliary heads return theirs after them."""
        given = self.network(images)
        return given[0] if isinstance(given, (list, tuple)) else given

    def _single_output(self) -> Any:
        from paddle import nn

        class MainLogits(nn.Layer):
            def __init__(self, worker: Worker) -> None:
                super().__init__()
                self.network = worker.network
                self.logits = worker._logits

            def forward(self, images: Any) -> Any:
                return self.logits(images)

        return MainLogits(self)

    def _possible(self, run: Callable[[], Any], size: int) -> Any:
        """Run the network for the first time; raise a clear error if it cannot take such images."""
        try:
            return run()
        except UserError:
            raise
        except Exception as error:
            raise ModelError(
                f"{self.side.name} cannot take images of 3x{size}x{size}: {_reason(error)}"
            ) from None


def _operators(plain: bool) -> contextlib.AbstractContextManager[None]:
    """Choose Paddle's own operators, or leave the choice to the environment."""
    from .. import kernels

    return kernels.use("off") if plain else contextlib.nullcontext()


def peak_memory() -> float:
    """Return the most memory that this process ever had resident, in bytes."""
    try:
        # Not getrusage: on Linux it starts from the parent's value.
        status = Path("/proc/self/status").read_text()
        return 1024.0 * int(re.search(r"VmHWM:\s*(\d+) kB", status)[1])
    except (OSError, TypeError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak) if sys.platform == "darwin" else 1024.0 * peak


def _reason(error: Exception) -> str:
    """Return the line of Paddle's long message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(\([A-Z]\w+\)|\w*Error:)", line)]
    said = (telling or lines or [type(error).__name__])[0]
    return re.sub(r"^(\([A-Z]\w+\)|\w*Error:)\s*", "", said)[:200].rstrip(".") + "."


def _make(log: Callable[[str], None], wait: Callable[[], None]) -> Worker:
    cpu_runtime.import_paddle()
    warnings.filterwarnings("ignore", message="When training, we now always track")
    return Worker(log, wait)


if __name__ == "__main__":
    serve(_make)
