"""Keys of recipes that were renamed.

Recipes of finished runs are read by the new names. In a recipe that somebody wrote an old name is
an error, which says the new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

#: Old key to new key, both as overrides name them.
RENAMED = {
    "data.limit": "data.max_train_images",
    "data.sample": "data.allow_sample",
    "data.centre": "data.crop_pct",
    "data.damaged": "data.on_corrupt",
    "data.memory": "data.cache_mb",
    "augment.resized_crop": "augment.random_resized_crop",
    "augment.trivial": "augment.trivial_augment",
    "augment.erase": "augment.random_erasing",
    "augment.size_from": "augment.initial_scale",
    "augment.size_until": "augment.full_scale_at",
    "augment.test_time": "test.tta",
    "optimizer.trust": "optimizer.trust_coefficient",
    "optimizer.rates": "optimizer.lr_multipliers",
    "schedule.warmup_from": "schedule.warmup_start_factor",
    "schedule.final": "schedule.end_factor",
    "schedule.by": "schedule.interval",
    "schedule.every": "schedule.step_size",
    "train.accumulate": "train.grad_accum_steps",
    "train.precision_level": "train.amp_level",
    "train.runs": "train.num_seeds",
    "train.save_every": "train.checkpoint_interval",
    "train.select": "test.weights",
    "finetune.frozen_until": "finetune.unfreeze_at",
    "plateau.least": "plateau.min_factor",
    "run.log_every": "run.log_interval",
    "run.write_errors": "run.on_write_error",
}


def translated(values: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's nested values with old keys by their new names.

    A new key that is present keeps its value. Values that are no sections are left as they are:
    the schema reports them.
    """
    result = {name: dict(keys) if isinstance(keys, dict) else keys for name, keys in values.items()}
    for old, new in RENAMED.items():
        section, key = old.split(".")
        if not isinstance(result.get(section), dict) or key not in result[section]:
            continue
        value = result[section].pop(key)
        section, key = new.split(".")
        if isinstance(result.setdefault(section, {}), dict):
            result[section].setdefault(key, value)
    return result


def first_renamed(keys: Iterable[str]) -> Optional[str]:
    """Return the first of the keys, such as ``"train.runs"``, that has a new name, or None."""
    return next((key for key in keys if key in RENAMED), None)
