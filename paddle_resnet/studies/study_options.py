"""What a study is run with, and the checks of it: settings, seeds, another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Optional, Union

from ..errors import UserError, did_you_mean, for_display
from .cards import Card

_MOST_SEEDS = 1000
#: Settings of which there must be one at least.
_COUNTS = {"batch", "batch_size", "epochs", "epochs_at_equal_loss", "lines", "passes", "points"}
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Options:
    """What a study is run with.

    Args:
        seeds: how many weight seeds (0, 1, ...), or the seeds themselves; of studies that draw
            weights at random (``card.takes_seeds``). Default: the study's.
        full: paper-like sizes in place of the quick ones. Default: False.
        model: a run folder, a weights file or a name of bundled weights, to be studied in place of
            the study's own network. Default: None.
        data: where CIFAR-10 is, as for :func:`paddle_resnet.data.load_cifar10`; ``sample`` for the
            bundled 2,500 images. Default: the first source that has it.
        max_seconds: the study ends at its next step after that many wall-clock seconds; what was
            measured is kept. Default: None, no limit.
        settings: the study's own settings, such as ``{"depth": 56}``.
    """

    seeds: Union[int, Sequence[int], None] = None
    full: bool = False
    model: Optional[str] = None
    data: Optional[str] = None
    max_seconds: Optional[float] = None
    settings: dict[str, Any] = field(default_factory=dict)


def check_options(
    card: Card, experiment: ModuleType, options: Options
) -> tuple[dict[str, Any], list[int]]:
    """Return the complete settings and the seeds.

    Raises:
        UserError: a setting that the study lacks or of another type, no valid seeds, or seeds or a
            network where the study takes none.
    """
    if options.model is not None and not card.takes_model:
        raise UserError(
            f"the study '{card.name}' builds its own networks and takes no other one "
            f"(given: '{for_display(options.model)}')."
        )
    if options.seeds is not None and not card.takes_seeds:
        raise UserError(
            f"the study '{card.name}' draws no weights at random and takes no seeds (given: "
            f"{for_display(repr(options.seeds))})."
        )
    if options.max_seconds is not None and not options.max_seconds > 0:
        raise UserError(f"the time limit is {options.max_seconds} seconds, expected more than 0.")
    settings = default_settings(experiment, options.full)
    for name, value in options.settings.items():
        if name not in settings:
            raise UserError(
                f"the study '{card.name}' has no setting '{for_display(name)}', expected one of "
                f"{', '.join(settings)}." + did_you_mean(name, settings)
            )
        settings[name] = _read(card.name, name, value, settings[name])
    return settings, _seeds(card, options)


def default_settings(experiment: ModuleType, full: bool) -> dict[str, Any]:
    """Return an experiment's settings and their defaults."""
    return {**experiment.SETTINGS, **(experiment.FULL if full else {})}


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
            f"something like {for_display(repr(default))}."
        )
    counted = name in _COUNTS
    if isinstance(given, (int, float)) and given < counted:
        raise UserError(
            f"the setting '{name}' of the study '{study}' is {given}, expected "
            f"{'1' if counted else '0'} or more."
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


def _seeds(card: Card, options: Options) -> list[int]:
    given = options.seeds
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
