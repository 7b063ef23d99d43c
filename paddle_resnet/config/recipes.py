"""Recipes: found, read from YAML, overridden from the command line, checked, and written.

Whatever is wrong with one becomes one sentence.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import TypeAdapter, ValidationError

from ..errors import ConfigError, did_you_mean, for_display
from .effects import refuse_without_effect
from .recipe_text import TextKeys, dump_recipe, parse_override, parse_recipe
from .renamed import RENAMED, first_renamed, translated
from .schema import Config

_ADAPTER = TypeAdapter(Config)


def config_folder() -> Path:
    """Return the folder of the recipes that come with the package."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in config_folder().glob("*.yaml"))


def find_recipe(recipe: str) -> Path:
    """Return the file of a recipe: a path, or the bare name of one that comes with the package.

    Raises:
        ConfigError: there is none; says which there are.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    own = config_folder() / f"{path.stem if path.suffix == '.yaml' else path.name}.yaml"
    # A path to anywhere else is meant as it stands: no other file may take its place.
    if path.parent in (Path(), Path("configs")) and own.is_file():
        return own
    names = list_recipes()
    raise ConfigError(
        f"there is no recipe '{for_display(recipe)}': expected a YAML file or one of "
        f"{', '.join(names)}." + did_you_mean(path.stem, names)
    )


def load_config(
    recipe: Union[str, Path, None] = None,
    overrides: tuple[str, ...] = (),
    *,
    resolved: bool = False,
) -> Config:
    """Read a recipe and apply overrides to it.

    Args:
        recipe: a YAML file or the name of a recipe of the package; None gives the defaults.
        overrides: texts such as ``"train.budget=10m"``; values are read as YAML.
        resolved: whether a run has written the file: keys by their old names are translated, and
            none of them is refused for having no effect. Default: False, as far as the file does
            not hold more than half of all keys.

    Returns:
        Config: complete and checked.

    Raises:
        ConfigError: an unknown or renamed key (with the nearest or new name), a value of the wrong
            type or out of range, a setting that was given and would have no effect, or a file that
            is no YAML.
    """
    origin = str(recipe) if recipe else "the command line"
    given = _read_yaml(find_recipe(str(recipe))) if recipe is not None else {}
    values = translated(given)
    in_file, overriding = _full_keys(values), {}
    # A file that holds most keys is a resolved recipe, maybe of an older version that had fewer or
    # other ones: nobody gave them one by one.
    resolved = resolved or len(in_file & set(all_keys())) > len(all_keys()) / 2
    if not resolved:
        _refuse_renamed(_full_keys(given), origin)
    for override in overrides:
        _apply_override(values, override)
        _apply_override(overriding, override)
    overridden = _full_keys(overriding)
    _refuse_renamed(overridden, "the command line")
    config = config_from_dict(values, origin)
    _refuse_useless(config, set() if resolved else in_file, overridden)
    return config


def _refuse_renamed(keys: set[str], origin: str) -> None:
    old = first_renamed(sorted(keys))
    if old is not None:
        raise ConfigError(
            f"unknown key '{old}' in {for_display(origin)}: it is called '{RENAMED[old]}' now."
        )


def _refuse_useless(config: Config, in_file: set[str], overridden: set[str]) -> None:
    given = in_file | overridden
    refuse_without_effect(config_to_dict(config), config_to_dict(Config()), in_file, overridden)
    if "train.epochs" in overridden and config.train.budget is not None:
        raise ConfigError(
            f"train.epochs={config.train.epochs} would have no effect beside the budget of "
            f"{config.train.budget:g} s: add -o train.budget=null."
        )
    side = config.data.image_size if config.data.name == "folder" else 32
    if "augment.cutout" in given and side is not None and config.augment.cutout >= side:
        raise ConfigError(
            f"augment.cutout={config.augment.cutout} is as large as the images, which have {side} "
            f"x {side} pixels: expected less than {side}, such as {side // 2}."
        )


def config_from_dict(values: dict[str, Any], origin: str = "the recipe") -> Config:
    """Check nested values against the schema and fill in the defaults.

    Raises:
        ConfigError: see :func:`load_config`; ``origin`` says in the sentence where they are from.
    """
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error.errors()[0], origin)) from None


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return a recipe as nested plain values, every key present."""
    return dataclasses.asdict(config)


def config_to_yaml(config: Config) -> str:
    """Return a recipe as YAML, every key present, in the schema's order."""
    return dump_recipe(config_to_dict(config))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"'{path}' is no text file: expected a recipe in YAML.") from None
    values = parse_recipe(text, f"'{path}'", _text_keys())
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"'{path}' holds a {type(values).__name__}, expected sections such as 'model:'."
        )
    # `section:` with nothing below it means the section's defaults
    return {key: {} if value is None else value for key, value in values.items()}


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if key != key.strip():  # `KEY = VALUE`, where the blank is no part of a text either
        key, text = key.strip(), text.lstrip()
    if not equals or not key or not all(key.split(".")):
        raise ConfigError(
            f"override '{for_display(override)}' is not of the form section.key=value."
        )
    *sections, last = key.split(".")
    here = values
    for section in sections:
        here = here.setdefault(section, {})
        if not isinstance(here, dict):
            raise ConfigError(
                f"override '{for_display(override)}': '{for_display(section)}' is a value, "
                "not a section."
            )
    origin = f"the value of override '{for_display(override)}'"
    here[last] = parse_override(key, text, origin, _text_keys())


def _sentence(error: dict[str, Any], origin: str) -> str:
    """Turn pydantic's first finding into one sentence."""
    path = [str(part) for part in error["loc"]]
    key = for_display(".".join(path))
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys(path[:-1])
        where = f"section '{for_display('.'.join(path[:-1]))}'" if path[:-1] else "a recipe"
        hint = did_you_mean(path[-1], known)
        elsewhere = [full for full in all_keys() if full.endswith("." + path[-1])]
        if elsewhere:
            hint = f" Did you mean '{elsewhere[0]}'?"
        return f"unknown key '{key}' in {origin}: {where} has {', '.join(known)}.{hint}"
    given = error.get("input")
    expected = error["msg"].replace("Value error, ", "")
    expected = expected[:1].lower() + expected[1:]
    hint = ""
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", error["ctx"]["expected"])
        expected = f"expected {' or '.join(choices)}"
        hint = did_you_mean(str(given), choices)
    value = for_display(repr(given), 57) if len(repr(given)) > 60 else repr(given)
    expected = re.sub(r"a dictionary or an instance of \w+", "a section with keys", expected)
    return f"'{key}' is {value} in {origin}: {expected}.{hint}"


def _keys(path: list[str]) -> list[str]:
    here: Any = Config
    for part in path:
        fields = {field.name: field.default_factory for field in dataclasses.fields(here)}
        here = fields.get(part)
        if not dataclasses.is_dataclass(here):
            return []
    return [field.name for field in dataclasses.fields(here)]


def _full_keys(values: dict[str, Any]) -> set[str]:
    """Return the keys of nested values, as overrides name them."""
    sections = {name: inner for name, inner in values.items() if isinstance(inner, dict)}
    return {f"{name}.{key}" for name, inner in sections.items() for key in inner}


def all_keys() -> list[str]:
    """Return every key of a recipe, such as ``train.batch_size``."""
    return [f"{section}.{key}" for section in _keys([]) for key in _keys([section])]


@functools.cache
def _text_keys() -> TextKeys:
    """Return the keys whose value is a text, and of each whether null stands for none."""
    texts = {}
    for section, kind in typing.get_type_hints(Config).items():
        for name, hint in typing.get_type_hints(kind).items():
            choices = typing.get_args(hint) if typing.get_origin(hint) is Union else (hint,)
            if all(choice in (str, type(None)) or _is_choice(choice) for choice in choices):
                texts[f"{section}.{name}"] = type(None) in choices
    return texts


def _is_choice(hint: Any) -> bool:
    """Return whether a type is a choice of words."""
    return typing.get_origin(hint) is Literal
