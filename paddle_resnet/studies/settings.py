"""Checks of what a study is asked with: its settings, its seeds, another network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UserError, did_you_mean, for_display

if TYPE_CHECKING:
    from .study import Options, Study

_MOST_SEEDS = 1000
_BOOLEANS = {"true": True, "false": False}


def check_options(study: Study, options: Options) -> tuple[dict[str, Any], list[int]]:
    """Return the complete settings and the seeds.

    Raises:
        UserError: a setting that the study lacks or of another type, no valid seeds, or a network
            where the study takes none.
    """
    if options.model is not None and not study.card.takes_model:
        raise UserError(
            f"the study '{study.name}' builds its own networks and takes no other one "
            f"(given: '{for_display(options.model)}')."
        )
    if options.max_seconds is not None and not options.max_seconds > 0:
        raise UserError(f"the time limit is {options.max_seconds} seconds, expected more than 0.")
    settings = study.settings(options.full)
    for name, value in options.settings.items():
        if name not in settings:
            raise UserError(
                f"the study '{study.name}' has no setting '{for_display(name)}', expected one of "
                f"{', '.join(settings)}." + did_you_mean(name, settings)
            )
        settings[name] = _read(study.name, name, value, settings[name])
    return settings, _seeds(study, options)


def _read(study: str, name: str, value: Any, default: Any) -> Any:
    """Return a setting in the type of its default; text, as of a command line, is converted."""
    try:
        given = _from_text(value, default) if isinstance(value, str) else value
        given = list(given) if isinstance(given, tuple) else given
    except ValueError:
        given = None
    if not _alike(given, default):
        raise UserError(
            f"the setting '{name}' of the study '{study}' is {for_display(repr(value))}, expected "
            f"something like {default!r}."
        )
    return given


def _from_text(text: str, default: Any) -> Any:
    if isinstance(default, list):
        return [_from_text(part.strip(), default[0]) for part in text.split(",")]
    if isinstance(default, bool):
        return _BOOLEANS.get(text.lower())
    return type(default)(text)


def _alike(given: Any, default: Any) -> bool:
    """Return whether a setting has the type of its default; a whole number is a float too."""
    if isinstance(default, list):
        return isinstance(given, list) and bool(given) and all(_alike(g, default[0]) for g in given)
    if isinstance(default, bool) or isinstance(given, bool):
        return type(given) is type(default)
    if isinstance(default, float):
        return isinstance(given, (int, float)) and given == given
    if isinstance(default, int):  # sizes and counts
        return isinstance(given, int) and given >= 0
    return isinstance(given, type(default))


def _seeds(study: Study, options: Options) -> list[int]:
    card, given = study.card, options.seeds
    if given is None:
        return list(range(card.seeds_full if options.full else card.seeds))
    if type(given) is int:
        if not 1 <= given <= _MOST_SEEDS:
            raise UserError(f"the number of seeds is {given}, expected 1 to {_MOST_SEEDS}.")
        return list(range(given))
    seeds = list(given) if isinstance(given, (list, tuple, range)) else []
    if not seeds or not all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds):
        raise UserError(
            f"seeds is {for_display(repr(given))}, expected a number of seeds or a list of whole "
            "numbers from 0 up."
        )
    return seeds
