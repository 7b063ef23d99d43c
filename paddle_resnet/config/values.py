"""Values of recipes: durations, intervals, and checks of single values.

A check raises ValueError with what was expected; pydantic adds which key has it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Optional, Union

from pydantic import AfterValidator, BeforeValidator, Field

_UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(value: Any) -> Any:
    """Turn ``"90s"``, ``"10m"``, ``"1h30m"`` or a number of seconds into seconds.

    Raises:
        ValueError: the text is no duration.
    """
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    text = str(value).replace(" ", "").lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a duration such as 90s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_interval(value: Any) -> Any:
    """Turn ``"100 steps"`` into itself, and everything else as :func:`parse_duration` does.

    Raises:
        ValueError: the text is neither.
    """
    text = str(value).strip().lower()
    match = re.fullmatch(r"(\d+)\s*steps?", text)
    if match and int(match[1]) > 0:
        return f"{int(match[1])} steps"
    try:
        seconds = parse_duration(value)
        seconds = None if isinstance(seconds, bool) else float(seconds)
    except (ValueError, TypeError, OverflowError):
        seconds = None
    if seconds is None or not seconds > 0:
        raise ValueError("expected a duration such as 10m, or a number of steps such as 100 steps")
    return seconds


def steps_of(interval: Union[float, str]) -> Optional[int]:
    """Return the steps of an interval that is one of steps, None of one of seconds."""
    return int(interval.split()[0]) if isinstance(interval, str) else None


def _no_bool(value: Any) -> Any:
    # In Python a bool is a number: `lr: yes` would silently become 1.
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


def one_folder(value: Optional[str]) -> Optional[str]:
    """Refuse what is not the name of one folder."""
    if value is not None and (value in ("", ".", "..") or not value.isprintable() or "/" in value):
        raise ValueError("expected the name of one folder")
    return value


def alpha(value: float) -> float:
    """Refuse an alpha of mixup or cutmix that is neither 0 nor in [0.05, 4]."""
    if value != 0 and not 0.05 <= value <= 4:
        raise ValueError("expected 0, or from 0.05 to 4")
    return value


def share_or_whole(value: Optional[float]) -> Optional[float]:
    """Refuse a number above 1 that is not whole."""
    if value is not None and value > 1 and value != int(value):
        raise ValueError("expected a share below 1, or a whole number of images")
    return value


def _on_the_scale(values: Optional[list[float]]) -> Optional[list[float]]:
    if values is not None and not all(0 <= value <= 1 for value in values):
        raise ValueError(
            "expected numbers from 0 to 1, as pixels are here: divide values of 0 to 255 by 255"
        )
    return values


def low_and_high(values: Optional[list[float]]) -> Optional[list[float]]:
    """Refuse what is not two numbers in ascending order."""
    if values is not None and (len(values) != 2 or not values[0] < values[1]):
        raise ValueError("expected the values of black and of white, such as [0, 4095]")
    return values


def above_0(values: Optional[list[float]]) -> Optional[list[float]]:
    """Refuse a list with a 0 in it."""
    if values is not None and 0 in values:
        raise ValueError("expected numbers above 0: images are divided by them")
    return values


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("expected a text without the character NUL")
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
Number = Annotated[float, BeforeValidator(_no_bool)]
Whole = Annotated[int, BeforeValidator(_no_bool)]
Amount = Union[Whole, Number]
Channels = Annotated[Optional[list[Number]], AfterValidator(_on_the_scale)]
Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
Interval = Annotated[Union[float, str], BeforeValidator(parse_interval)]
