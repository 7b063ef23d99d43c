"""Recipes: every setting with its default, read from YAML, checked, and written."""

from .recipes import (
    all_keys,
    config_from_dict,
    config_to_dict,
    config_to_yaml,
    find_recipe,
    list_recipes,
    load_config,
)
from .schema import Config, OptimizerConfig, ScheduleConfig
from .values import parse_duration, steps_of

__all__ = [
    "Config",
    "OptimizerConfig",
    "ScheduleConfig",
    "all_keys",
    "config_from_dict",
    "config_to_dict",
    "config_to_yaml",
    "find_recipe",
    "list_recipes",
    "load_config",
    "parse_duration",
    "steps_of",
]
