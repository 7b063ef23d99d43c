"""Initial weights from a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from paddle import nn

from ...config import Config
from ...data.splits import DataSplits
from ...errors import WeightsError
from ...models.find_weights import find_weights_file
from ...models.trained_model import read_model_metadata
from ...weights.key_names import is_head
from ...weights.pretrained import fetch_pretrained
from ...weights.save_load import load_weights
from .resolve import PUBLISHED, name_recipe_keys


def load_init_weights(
    network: nn.Layer, config: Config, splits: DataSplits, log: Callable[[str], None]
) -> None:
    """Load the recipe's pretrained weights, if it has some; one line is logged.

    The head keeps its fresh weights if the file's is for other classes: another number of them, or
    other names, as far as the file has names.

    Raises:
        UserError: the weights cannot be had, or are another network's.
    """
    given = config.model.pretrained
    if given is None:
        return
    path = _fetch(config.model.name) if given == PUBLISHED else find_weights_file(given)
    facts, _ = read_model_metadata(path, config.model.pretrained_entry)
    same_classes = facts is not None and facts["classes"] == splits.classes
    fresh = {}
    if facts is not None and not same_classes:
        fresh = {
            name: tensor.numpy() for name, tensor in network.state_dict().items() if is_head(name)
        }
    with name_recipe_keys():
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
        f"a new head for {len(splits.classes)} classes" if loaded < total else "its head included"
    )
    where = f"the published {config.model.name}" if given == PUBLISHED else f"'{given}'"
    log(f"starting from {where}: {loaded} of {total} arrays, {head}.")
    if not config.model.pretrained_strict:
        log(str(report))


def _fetch(name: str) -> Path:
    try:
        return fetch_pretrained(name)
    except WeightsError as error:
        raise WeightsError(
            f"{error} Or start from other weights, with -o model.pretrained=PATH (a run folder or "
            "a weights file), or from none, with -o model.pretrained=null."
        ) from error
