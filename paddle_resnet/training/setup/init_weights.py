"""What a training starts from: fresh weights, or those of a trained network."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from paddle import nn

from ...config import Config
from ...data.splits import DataSplits
from ...errors import ConfigError, WeightsError, for_display
from ...formatting import counted
from ...models.trained_model import find_weights_file, read_model_metadata
from ...weights.key_names import is_head
from ...weights.pretrained import bundled_weights, fetch_pretrained
from ...weights.save_load import load_weights

PUBLISHED = "published"


def resolve(config: Config, notify: Callable[[str], None]) -> Config:
    """Return the recipe with what its pretrained network says about itself filled in.

    A run or a file of ours says which network it is, on what size of images and with which
    normalisation it was trained; for grey images of a network of colours, and the other way round,
    the channels' figures are averaged or repeated. The resolved recipe is complete: a run can go on
    without the file.

    Args:
        config: the recipe.
        notify: takes a line where the recipe's network gives way to the file's.

    Raises:
        UserError: the weights cannot be read, or published ones be had; the mean or the standard
            deviation is not of as many channels as the network takes.
    """
    config = _with_pretrained(config, notify)
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
    """Return figures per channel for images of another number of channels."""
    if len(values) == channels:
        return values
    return [sum(values) / len(values)] * channels


def _with_pretrained(config: Config, notify: Callable[[str], None]) -> Config:
    given = config.model.pretrained
    if given == PUBLISHED and config.model.name in bundled_weights():
        given = config.model.name
    if given in (None, PUBLISHED):  # Paddle's files say nothing about themselves
        return config
    path = find_weights_file(given)
    with _recipe_keys():
        facts, options = read_model_metadata(path, config.model.pretrained_entry)
    if facts is None:
        return config  # anybody's weights: the recipe says what they are of
    options = {name: value for name, value in options.items() if name != "num_classes"}
    if facts["model"] != config.model.name:
        notify(
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
                f"'{path}' was trained on images of {height} x {width} pixels: say data.image_size."
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
            f"'{path}' asks for {given}, which a recipe cannot have: say what to take instead."
        ) from None
    return dataclasses.replace(config, model=model, data=data)


def load_init_weights(
    network: nn.Layer, config: Config, parts: DataSplits, notify: Callable[[str], None]
) -> None:
    """Load the recipe's pretrained weights, and say in one line what became of them.

    The head stays fresh where the file's is for other classes: another number of them, or, as far
    as the file says, others by name.

    Raises:
        UserError: the weights cannot be had, or are another network's.
    """
    given = config.model.pretrained
    if given is None:
        return
    path = _fetch(config.model.name) if given == PUBLISHED else find_weights_file(given)
    facts, _ = read_model_metadata(path, config.model.pretrained_entry)
    same_classes = facts is not None and facts["classes"] == parts.classes
    fresh = {}
    if facts is not None and not same_classes:
        fresh = {
            name: tensor.numpy() for name, tensor in network.state_dict().items() if is_head(name)
        }
    with _recipe_keys():
        report = load_weights(
            network,
            path,
            new_head=True,
            adapt_input=True,
            strict=config.model.pretrained_strict,
            entry=config.model.pretrained_entry,
            prefix=config.model.pretrained_prefix,
        )
    for name, tensor in network.state_dict().items():
        if name in fresh:
            tensor.set_value(fresh[name])
    loaded = len([name for name in report.matched if name not in fresh])
    total = len(report.matched) + len(report.missing)
    head = (
        f"a new head for {len(parts.classes)} classes starts afresh"
        if loaded < total
        else "its head included"
    )
    where = f"the published {config.model.name}" if given == PUBLISHED else f"'{given}'"
    notify(f"starting from {where}: {loaded} of {total} arrays, {head}.")
    if not config.model.pretrained_strict:
        notify(str(report))


@contextlib.contextmanager
def _recipe_keys() -> Iterator[None]:
    """Add to an error about weights the key of the recipe that would help."""
    try:
        yield
    except WeightsError as error:
        if not error.option:
            raise
        choices = " or ".join(error.choices) or "..."
        raise WeightsError(
            f"{error} Here that is -o model.pretrained_{error.option}={choices}."
        ) from error


def _fetch(name: str) -> Path:
    try:
        return fetch_pretrained(name)
    except WeightsError as error:
        raise WeightsError(
            f"{error} Or start from other weights, with -o model.pretrained=PATH (a run folder or "
            "a weights file), or from none, with -o model.pretrained=null."
        ) from error
