"""The trained network that a study takes apart, and images as it takes them."""

from __future__ import annotations

from typing import Optional

from ..data import CLASSES
from ..errors import UserError
from ..models.find_weights import BY_NAME
from ..models.trained_model import TrainedModel, load_trained
from ..weights.pretrained import bundled_weights
from .context import Context
from .shared.cifar_subset import Subset

SIZES = (16, 32)
#: Fully trained networks of full size, which studies add to their own where the package has them.
FULL_SIZE = ("plain20", "plain56", "resnet56", "resnet110")


def trained_network(context: Context, default: str) -> TrainedModel:
    """Return the network of ``--model``, or else the bundled one, in eval mode.

    Raises:
        UserError: the network was not trained on CIFAR-10 at 32 (or 16) pixels.
        WeightsError: there is no such run, file or bundled network.
    """
    trained = load_trained(context.model or BY_NAME + default)
    channels, height, width = trained.input_shape
    if tuple(trained.classes) != CLASSES or (channels, height, width) not in (
        (3, size, size) for size in SIZES
    ):
        raise UserError(
            f"the study '{context.name}' needs a network for the ten classes of CIFAR-10 at 32 or "
            f"16 pixels; '{context.model or default}' is {trained.model} for "
            f"{len(trained.classes)} classes at {height}x{width}."
        )
    return trained


def full_size_networks(context: Context, *names: str) -> dict[str, TrainedModel]:
    """Return those of :data:`FULL_SIZE` and resnet20 that were asked for and are in the package.

    None where another network is studied, or the setting ``full_size`` is off.
    """
    if context.model is not None or not context.settings["full_size"]:
        return {}
    return {name: load_trained(BY_NAME + name) for name in names if name in bundled_weights()}


def images_for(
    context: Context, trained: TrainedModel, split: str, count: int, seed: int
) -> Subset:
    """Return images of CIFAR-10 in the size and normalization that a network was trained with."""
    return context.images(
        split, count, seed, trained.input_shape[1], mean=trained.mean, std=trained.std
    )


def short_name(context: Context, default: str) -> str:
    """Return the name of the studied network for tables and drawings."""
    name: Optional[str] = context.model
    if name is None:
        return default
    return name.replace(BY_NAME, "", 1).rstrip("/").rpartition("/")[2]
