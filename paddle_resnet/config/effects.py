"""Settings that have an effect only beside another one: given without it, they are errors.

The schema itself cannot see it: of a recipe that holds every key, nobody knows which were meant.
"""

from __future__ import annotations

from typing import Any, Callable

import yaml

from ..errors import ConfigError, for_display

#: What another setting must be, in words that follow its name, and as a test of its value.
_Needs = tuple[str, Callable[[Any], bool]]


def _one_of(*values: str) -> _Needs:
    return f"={' or '.join(values)}", values.__contains__


_ABOVE_0: _Needs = (" above 0", lambda value: value is not None and value > 0)
_BELOW_1: _Needs = (" below 1", lambda value: value < 1)
_A_NUMBER: _Needs = (" of 0 or more", lambda value: value is not None)
_TRUE: _Needs = ("=true", bool)
_GIVEN: _Needs = (" that is given", lambda value: value is not None)

#: Key, the key that decides whether it has an effect, and what that one must be.
_EFFECTS: tuple[tuple[str, str, _Needs], ...] = (
    ("model.pretrained_entry", "model.pretrained", _GIVEN),
    ("model.pretrained_prefix", "model.pretrained", _GIVEN),
    ("model.pretrained_strict", "model.pretrained", _GIVEN),
    ("data.test", "data.name", _one_of("folder")),
    ("data.image_size", "data.name", _one_of("folder")),
    ("data.crop_pct", "data.name", _one_of("folder")),
    ("data.value_range", "data.name", _one_of("folder")),
    ("data.on_corrupt", "data.name", _one_of("folder")),
    ("data.cache_mb", "data.name", _one_of("folder")),
    ("data.mean", "data.normalize", _TRUE),
    ("data.std", "data.normalize", _TRUE),
    ("augment.full_scale_at", "augment.initial_scale", _BELOW_1),
    ("optimizer.momentum", "optimizer.name", _one_of("momentum", "lars", "muon")),
    ("optimizer.nesterov", "optimizer.name", _one_of("momentum", "muon")),
    ("optimizer.beta1", "optimizer.name", _one_of("adam", "adamw", "lamb")),
    ("optimizer.beta2", "optimizer.name", _one_of("adam", "adamw", "lamb")),
    ("optimizer.trust_coefficient", "optimizer.name", _one_of("lars")),
    ("optimizer.decay_norm_and_bias", "optimizer.weight_decay", _ABOVE_0),
    ("schedule.warmup_start_factor", "schedule.warmup", _ABOVE_0),
    ("schedule.end_factor", "schedule.name", _one_of("cosine", "linear", "polynomial", "onecycle")),
    (
        "schedule.interval",
        "schedule.name",
        _one_of("cosine", "linear", "polynomial", "step", "multistep", "onecycle"),
    ),
    ("train.amp_level", "train.precision", _one_of("float16", "bfloat16")),
    ("ema.warmup", "ema.decay", _ABOVE_0),
    ("early_stopping.monitor", "early_stopping.patience", _A_NUMBER),
    ("early_stopping.min_delta", "early_stopping.patience", _A_NUMBER),
    ("plateau.monitor", "plateau.patience", _A_NUMBER),
    ("plateau.min_delta", "plateau.patience", _A_NUMBER),
    ("plateau.factor", "plateau.patience", _A_NUMBER),
    ("plateau.cooldown", "plateau.patience", _A_NUMBER),
    ("plateau.min_factor", "plateau.patience", _A_NUMBER),
    ("run.graph", "run.visualdl", _TRUE),
)


def refuse_without_effect(
    config: dict[str, Any], defaults: dict[str, Any], in_file: set[str], overridden: set[str]
) -> None:
    """Refuse the first given setting that is not its default and would have no effect.

    A recipe's own setting gives way where an override changes what it depends on: with
    ``-o optimizer.name=adamw`` nobody has to take Nesterov's momentum out of a recipe.

    Args:
        config: a recipe as nested values, every key present.
        defaults: the recipe of which nothing was given.
        in_file, overridden: keys such as ``"optimizer.momentum"`` that stand in the recipe's file,
            and in overrides.

    Raises:
        ConfigError: there is one; names it, what it needs, and its default.
    """
    for key, switch, (words, has_effect) in _EFFECTS:
        value, default = _at(config, key), _at(defaults, key)
        given = key in overridden or (key in in_file and switch not in overridden)
        if given and value != default and not has_effect(_at(config, switch)):
            raise ConfigError(
                f"{key}={_written(value)} would have no effect: it is for {switch}{words}, and "
                f"{switch} is {_written(_at(config, switch))} (leave it at {_written(default)})."
            )


def _at(config: dict[str, Any], key: str) -> Any:
    section, name = key.split(".")
    return config[section][name]


def _written(value: Any) -> str:
    """Return a value as a recipe has it."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return for_display(text.replace("\n...", "").strip())
