"""A recipe, completed: what it leaves to its pretrained network is filled in."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Callable

from ...config import Config
from ...errors import ConfigError, WeightsError, for_display
from ...formatting import counted
from ...models.find_weights import find_weights_file
from ...models.trained_model import read_model_metadata
from ...weights.pretrained import BY_NAME, bundled_weights

#: Value of ``model.pretrained``: the weights that Paddle publishes, or ours of that network.
PUBLISHED = "published"


def resolve(config: Config, log: Callable[[str], None]) -> Config:
    """Return a recipe completed by the metadata of its pretrained network.

    A run or a file of ours names its network, its image size and its normalization. Between grey
    images and colours, mean and deviation of the channels are averaged or repeated. The resolved
    recipe is complete: a run can be resumed without the file.

    Args:
        config: the recipe.
        log: takes a line if the recipe's network is replaced by the file's.

    Raises:
        UserError: the weights cannot be read, or published ones be had; the mean or the standard
            deviation is not of as many channels as the network takes.
    """
    config = _with_pretrained(config, log)
    channels = _channels(config.model.options)
    for key in ("mean", "std"):
        values = getattr(config.data, key)
        if values is not None and len(values) != channels:
            raise ConfigError(
                f"data.{key} holds {counted(len(values), 'number')}, and the network takes images "
                f"of {counted(channels, 'channel')} (model.options.in_channels): give a number for "
                "each."
            )
    return config


def _channels(options: dict[str, Any]) -> int:
    given = options.get("in_channels", 3)
    return given if type(given) is int else 3  # the network itself refuses anything else


def _for_channels(values: list[float], channels: int) -> list[float]:
    """Return mean or deviation per channel for images of another number of channels."""
    if len(values) == channels:
        return values
    return [sum(values) / len(values)] * channels


def _with_pretrained(config: Config, log: Callable[[str], None]) -> Config:
    given = config.model.pretrained
    if given == PUBLISHED and config.model.name in bundled_weights():
        given = BY_NAME + config.model.name
    if given in (None, PUBLISHED):  # Paddle's files have no metadata
        return config
    path = find_weights_file(given)
    with name_recipe_keys():
        facts, options = read_model_metadata(path, config.model.pretrained_entry)
    if facts is None:
        return config  # weights of other origin: the recipe describes the network
    options = {name: value for name, value in options.items() if name != "num_classes"}
    if facts["model"] != config.model.name:
        log(
            f"Notice: the pretrained network is {facts['model']}, so that is what is trained, not "
            f"{config.model.name}."
        )
    model = dataclasses.replace(
        config.model, name=facts["model"], options={**options, **config.model.options}
    )
    data = config.data
    changes: dict[str, Any] = {}
    if data.name == "folder" and data.image_size is None:
        _, height, width = facts["input_shape"]
        if height != width:
            raise ConfigError(
                f"'{path}' was trained on images of {height} x {width} pixels: set data.image_size."
            )
        changes["image_size"] = height
    if data.normalize and data.mean is None and data.std is None:
        if facts["mean"] is None and facts["std"] is None:
            changes["normalize"] = False
        else:
            channels = _channels(model.options)
            changes.update(
                {key: _for_channels(facts[key], channels) for key in ("mean", "std") if facts[key]}
            )
    try:
        data = dataclasses.replace(data, **changes)
    except ValueError:  # the schema's: an old file, or one of our own making
        given = " and ".join(
            f"data.{key} of {for_display(value)}" for key, value in changes.items()
        )
        raise ConfigError(
            f"'{path}' asks for {given}, which a recipe cannot have: set other values."
        ) from None
    return dataclasses.replace(config, model=model, data=data)


@contextlib.contextmanager
def name_recipe_keys() -> Iterator[None]:
    """Within this block, let errors about weights name the recipe key that helps."""
    try:
        yield
    except WeightsError as error:
        if not error.option:
            raise
        choices = " or ".join(error.choices) or "..."
        raise WeightsError(
            f"{error} Here that is -o model.pretrained_{error.option}={choices}."
        ) from error
