"""The four small trained networks of the studies: shipped, or trained anew in about a minute each.

``python -m paddle_resnet.studies.mini_networks FOLDER`` trains all four and writes their files;
those in ``networks/`` are its output.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data import CIFAR10_MEAN, CIFAR10_STD, CLASSES
from ..errors import UserError
from ..io.atomic_files import cache_folder
from ..models import create_model
from ..models.trained_model import TrainedModel, load_trained, model_metadata
from ..weights import save_weights
from .context import Context
from .shared.short_training import loss_and_accuracy, train

FOLDER = Path(__file__).parent / "networks"
#: Raised when the recipe changes, so that older files in the cache are not used.
VERSION = 1
WIDTHS = [8, 16, 32]
SIZE = 16
IMAGES = 10000
TEST_IMAGES = 2000
EPOCHS = 8
SEED = 0


@dataclass(frozen=True)
class MiniNetwork:
    """A network of width 8 for images of 16 pixels, and what its training costs."""

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    #: CPU seconds of one core.
    seconds: float = 30.0


MINI_NETWORKS = {
    "mini_plain20": MiniNetwork("plain20"),
    "mini_resnet20": MiniNetwork("resnet20"),
    "mini_plain56": MiniNetwork("plain56", seconds=80.0),
    "mini_resnet56": MiniNetwork("resnet56", {"zero_init_residual": True}, 80.0),
}


def mini_network(name: str, context: Context) -> TrainedModel:
    """Return one of :data:`MINI_NETWORKS`, in eval mode: shipped, from the cache, or trained now.

    A network that was trained on the full CIFAR-10 is kept in the cache.
    """
    cached = cache_folder() / "studies" / f"{name}-v{VERSION}.safetensors"
    for path in (FOLDER / f"{name}.safetensors", cached):
        if path.is_file():
            return load_trained(path)
    seconds = MINI_NETWORKS[name].seconds
    context.log(f"{name} is not there: it is trained now (about {seconds:.0f} s of one core).")
    if context.cifar10.is_sample:
        return _train(name, context)[0]
    cached.parent.mkdir(parents=True, exist_ok=True)
    _write(*_train(name, context), cached)
    return load_trained(cached)


def _train(name: str, context: Context) -> tuple[TrainedModel, dict[str, Any]]:
    """Train a network; return it and the facts of its training."""
    mini = MINI_NETWORKS[name]
    options = {"num_classes": 10, "widths": WIDTHS, **mini.options}
    import paddle

    paddle.seed(SEED)
    network = create_model(mini.model, **options)
    subset = context.images("train", IMAGES, 0, SIZE)
    losses = train(network, subset, epochs=EPOCHS, seed=SEED)
    test = context.images("test", TEST_IMAGES, 0, SIZE)
    loss, accuracy = loss_and_accuracy(network, test)
    facts = {
        "train_images": len(subset.labels),
        "epochs": EPOCHS,
        "seed": SEED,
        "train_loss": losses[-1],
        "test_loss": loss,
        "test_accuracy": accuracy,
        "source": context.cifar10.source,
    }
    trained = TrainedModel(
        network=network,
        model=mini.model,
        classes=list(CLASSES),
        mean=list(CIFAR10_MEAN),
        std=list(CIFAR10_STD),
        input_shape=[3, SIZE, SIZE],
        path=Path(name),
    )
    return trained, {"options": options, "training": facts}


def _write(trained: TrainedModel, facts: dict[str, Any], path: Path) -> None:
    """Write a network with float16 weights; half the bytes, the same answers to a tenth of a point.

    ``zero_init_residual`` concerns the start only and is left out of the options.
    """
    options = {k: v for k, v in facts["options"].items() if k != "zero_init_residual"}
    metadata = model_metadata(
        trained.model,
        options,
        trained.classes,
        trained.mean,
        trained.std,
        trained.input_shape,
    )
    save_weights(
        trained.network, path, {**metadata, "training": facts["training"]}, "safetensors-float16"
    )


def main(arguments: list[str]) -> None:
    """Train all four and write them into a folder; print a line for each."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise UserError("expected one folder that exists.")
    for name in MINI_NETWORKS:
        context = Context(name, {}, [SEED])
        if context.cifar10.is_sample:
            raise UserError("the full CIFAR-10 is needed: run `paddle-resnet data cifar10`.")
        trained, facts = _train(name, context)
        path = Path(arguments[0]) / f"{name}.safetensors"
        _write(trained, facts, path)
        _, accuracy = loss_and_accuracy(
            load_trained(path).network, context.images("test", TEST_IMAGES, 0, SIZE)
        )
        facts = facts["training"]
        print(
            f"{name}: train loss {facts['train_loss']:.3f}, test accuracy "
            f"{facts['test_accuracy']:.4f}, of the file {accuracy:.4f}, "
            f"{path.stat().st_size:,} bytes",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
