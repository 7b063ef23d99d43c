"""Which run a recipe resumes, and what of the recipe may have changed."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from ..config import Config, config_to_dict
from ..errors import ConfigError, for_display
from ..io.atomic_files import with_home
from .run_folder import RunFolder, absolute_paths

#: What of a recipe may change on resume: where files are and how often something is done.
_FREE = {
    *("data.root", "data.download", "data.workers", "data.cache_mb"),
    *("train.resume", "train.checkpoint_interval", "train.keep_checkpoints"),
}
#: Taken from the metadata of a pretrained network, and written into the run's recipe.
_FROM_PRETRAINED = {
    *("model.name", "model.options"),
    *("data.image_size", "data.normalize", "data.mean", "data.std"),
}
#: What `auto` was resolved to when the run began.
_RESOLVED_AUTO = [("train.precision", dtype, "auto") for dtype in ("float32", "bfloat16")]
#: Chosen for the run's images, if the recipe leaves it open.
_CHOSEN = {"data.value_range"}


def find_run(config: Config) -> Optional[RunFolder]:
    """Return the folder that ``run.dir`` and ``run.name`` name, if it holds a run.

    Raises:
        ConfigError: there is no name to find it by, or its run has another recipe.
    """
    if config.run.name is None:
        raise ConfigError(
            "train.resume is 'auto' and run.name is not given: without a name, there is no folder "
            "to resume."
        )
    folder = RunFolder(with_home(config.run.dir) / config.run.name)
    if not folder.config.is_file():
        return None
    different = _differences(folder.read_config(), absolute_paths(config))
    if different:
        key, before, now = different[0]
        raise ConfigError(
            f"the run '{folder.path}' has {key} {for_display(repr(before))}, and now it is "
            f"{for_display(repr(now))}: it can only be resumed with the recipe it began with. For "
            "a new run, choose another run.name; to begin it with these weights, add "
            f"-o model.pretrained={folder.path}."
        )
    return folder


def resumed_config(folder: RunFolder, config: Config) -> Config:
    """Return a run's own recipe, with the values of another one where they may change."""
    own = folder.read_config()
    changes = {
        section: dataclasses.replace(
            getattr(own, section),
            **{
                key: getattr(getattr(config, section), key)
                for key in _keys_of(config, section)
                if _is_free(section, key)
            },
        )
        for section in ("data", "train", "run")
    }
    return dataclasses.replace(own, **changes)


def _keys_of(config: Config, section: str) -> list[str]:
    return [field.name for field in dataclasses.fields(getattr(config, section))]


def _is_free(section: str, key: str) -> bool:
    return section == "run" or f"{section}.{key}" in _FREE


def _differences(before: Config, now: Config) -> list[tuple[str, Any, Any]]:
    old, new = config_to_dict(before), config_to_dict(now)
    filled_in = _FROM_PRETRAINED if now.model.pretrained else set()
    return [
        (f"{section}.{key}", value, new[section][key])
        for section, values in old.items()
        for key, value in values.items()
        if value != new[section][key]
        and not _is_free(section, key)
        and (f"{section}.{key}", value, new[section][key]) not in _RESOLVED_AUTO
        and f"{section}.{key}" not in filled_in
        and not (f"{section}.{key}" in _CHOSEN and new[section][key] is None)
    ]
