"""The network of a recipe, tried on one image of the recipe's data."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...config import Config
from ...data.splits import DataSplits
from ...errors import ConfigError
from ...models import create_model

#: Approximate number of pixels that a whitening layer is computed from; each begins a patch.
WHITENED = 1_000_000


def build_model(config: Config, splits: DataSplits) -> tuple[nn.Layer, dict[str, Any]]:
    """Make the network, and check that it takes the images and has an output for each class.

    Returns:
        tuple: the network, in eval mode, and the options that made it.

    Raises:
        ConfigError: it cannot take the images, or has other outputs than there are classes.
        UserError: there is no such network or option.
    """
    options = {"num_classes": len(splits.classes), **config.model.options}
    network = create_model(config.model.name, **options)
    network.eval()
    try:
        with paddle.no_grad():
            shape = list(network(paddle.zeros([1, *splits.input_shape])).shape)
    except ValueError as error:  # Paddle's own check of shapes
        reason = " ".join(str(error).split())
        hint = re.search(r"\[Hint: (.+?)\]", reason)
        raise ConfigError(
            f"'model.options' make a network that cannot take images of {splits.input_shape}: "
            f"{hint[1] if hint else reason[:200]}"
        ) from None
    if shape != [1, len(splits.classes)]:
        raise ConfigError(
            f"'model.options' make a network with outputs {shape[1:]}, but the data has "
            f"{len(splits.classes)} classes."
        )
    return network, options


def whiten(network: nn.Layer, splits: DataSplits) -> None:
    """Compute the first layer from training images, if the network has a whitening layer."""
    if hasattr(network, "whiten"):
        network.whiten(_some_images(splits))


def _some_images(splits: DataSplits) -> np.ndarray:
    """Return training images at equal distances: folders list them class by class."""
    height, width = splits.input_shape[1:]
    count = min(len(splits.train.images), max(WHITENED // (height * width), 1))
    places = np.linspace(0, len(splits.train.images) - 1, count).astype(int)
    return np.concatenate([batch[0] for batch in splits.train.subset(places)])


def trainable_parameters(network: nn.Layer) -> int:
    """Return the number of parameters (scalars) that training changes."""
    return sum(p.size for p in network.parameters() if not p.stop_gradient)
