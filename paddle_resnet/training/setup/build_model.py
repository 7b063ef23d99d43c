"""The network of a recipe, tried on the recipe's data."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...config import Config
from ...data.splits import DataSplits
from ...errors import ConfigError
from ...models import create_model

#: Pixels of the images that a whitening layer is made of, about: each begins a patch.
WHITENED = 1_000_000


def build_model(config: Config, parts: DataSplits) -> tuple[nn.Layer, dict[str, Any]]:
    """Make the network, and see to it that it takes the images and knows the classes.

    Returns:
        tuple: the network, in eval mode, and the options that made it.

    Raises:
        ConfigError: it cannot take the images, or has other outputs than there are classes.
        UserError: there is no such network or option.
    """
    options = {"num_classes": len(parts.classes), **config.model.options}
    network = create_model(config.model.name, **options)
    network.eval()
    try:
        with paddle.no_grad():
            shape = list(network(paddle.zeros([1, *parts.input_shape])).shape)
    except ValueError as error:  # Paddle's own check of shapes
        raise ConfigError(
            f"'model.options' make a network that cannot take images of {parts.input_shape}: "
            f"{' '.join(str(error).split())[-200:]}"
        ) from None
    if shape != [1, len(parts.classes)]:
        raise ConfigError(
            f"'model.options' make a network with outputs {shape[1:]}, but the data has "
            f"{len(parts.classes)} classes."
        )
    return network, options


def whiten(network: nn.Layer, parts: DataSplits) -> None:
    """Make the first layer of the training images themselves, where the network has one for it."""
    if hasattr(network, "whiten"):
        network.whiten(_some_images(parts))


def _some_images(parts: DataSplits) -> np.ndarray:
    """Return training images, evenly spread: folders list them class by class."""
    height, width = parts.input_shape[1:]
    count = min(len(parts.train.images), max(WHITENED // (height * width), 1))
    places = np.linspace(0, len(parts.train.images) - 1, count).astype(int)
    return np.concatenate([batch[0] for batch in parts.train.subset(places)])


def trainable_parameters(network: nn.Layer) -> int:
    """Return how many numbers training may change."""
    return sum(p.size for p in network.parameters() if not p.stop_gradient)
