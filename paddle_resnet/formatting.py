"""How numbers are written for people: the same everywhere in a report.

Everything here accepts ``None`` and NaN, because a run that was killed leaves both behind.
"""

from __future__ import annotations

import math
from datetime import datetime

# No line may end between a figure and its unit.
SPACE = "\u00a0"
NOTHING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: object) -> float:
    """Return ``value`` as a float; NaN for everything else (``None``, text, booleans)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def percent(fraction: object, digits: int = 2) -> str:
    """0.9341 -> ``93.41 %``."""
    value = number(fraction)
    return f"{value * 100:.{digits}f}{SPACE}%" if math.isfinite(value) else _no_number(fraction)


def confidence(fraction: float) -> str:
    """0.9731 -> ``97.3 %``; nobody is ever 100 % sure, so 0.9998 -> ``> 99.9 %``."""
    return percent(fraction, 1) if fraction < 0.9995 else f">{SPACE}{percent(0.999, 1)}"


def count(value: object) -> str:
    """1234567 -> ``1,234,567``."""
    amount = number(value)
    return f"{amount:,.0f}" if math.isfinite(amount) else _no_number(value)


def counted(value: int, one: str, many: str | None = None) -> str:
    """(1, 'image') -> ``1 image``; (2, 'image') -> ``2 images``."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def short_count(value: object) -> str:
    """23520842 -> ``23.5 M``; 272474 -> ``272 k``."""
    amount = number(value)
    if not math.isfinite(amount):
        return _no_number(value)
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999 950 would round to "1000 k": it belongs to the next letter.
        if abs(amount) >= size * 0.9995:
            return f"{_digits(amount / size, 3)}{SPACE}{letter}"
    return f"{amount:.0f}"


def duration(seconds: object) -> str:
    """725 -> ``12 min 05 s``; 3725 -> ``1 h 02 min``; 0.42 -> ``0.42 s``."""
    value = number(seconds)
    if not math.isfinite(value):
        return _no_number(seconds)
    if value < 10:
        return f"{_digits(value, 2)}{SPACE}s"
    if value < 59.5:
        return f"{value:.0f}{SPACE}s"
    if value < 3600 - 0.5:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes}{SPACE}min{SPACE}{rest:02d}{SPACE}s"
    hours, minutes = divmod(round(value / 60), 60)
    if hours < 48:
        return f"{hours}{SPACE}h{SPACE}{minutes:02d}{SPACE}min"
    days, hours = divmod(round(value / 3600), 24)
    return f"{days}{SPACE}d{SPACE}{hours:02d}{SPACE}h"


def console_duration(seconds: object) -> str:
    """Return :func:`duration` for a terminal or a log file, in ASCII; ``?`` while it is unknown."""
    return "?" if not math.isfinite(number(seconds)) else duration(seconds).replace(SPACE, " ")


def metrics_text(metrics: dict) -> str:
    """Return ``loss 1.2345  acc 43.21%`` from metrics by their names, or from Paddle's logs."""
    parts = []
    for name, value in metrics.items():
        if name in ("step", "batch_size"):  # of Paddle's logs
            continue
        value = float(value[0] if isinstance(value, (list, tuple)) else value)
        parts.append(f"{name} {value:.2%}" if "acc" in name else f"{name} {value:.4f}")
    return "  ".join(parts)


def decimal(value: object, digits: int = 4) -> str:
    """Write a loss, a learning rate, an error with ``digits`` significant digits.

    0.31239 -> ``0.3124``, 3.2e-05 -> ``3.2×10⁻⁵``.
    """
    amount = number(value)
    if not math.isfinite(amount):
        return _no_number(value)
    if amount == 0:
        return "0"
    if not 1e-4 <= abs(amount) < 1e6:
        mantissa, exponent = f"{amount:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return _digits(amount, digits)


def rate(value: object) -> str:
    """Images per second: 1234.5 -> ``1,234``, 45.67 -> ``45.7``."""
    amount = number(value)
    if not math.isfinite(amount):
        return _no_number(value)
    return f"{amount:,.0f}" if abs(amount) >= 99.95 else f"{amount:.1f}"


def passes(epochs: object) -> str:
    """Passes over the training set: 200.0 -> ``200``, 0.1 -> ``0.1``, 12.3456 -> ``12.35``."""
    value = number(epochs)
    if not math.isfinite(value):
        return _no_number(epochs)
    if abs(value - round(value)) < 1e-6 * max(1.0, abs(value)):
        return f"{value:,.0f}"
    text = f"{value:,.2f}" if value >= 10 else _digits(value, 3)
    return text.rstrip("0").rstrip(".")


def date(text: object) -> str:
    """ISO 8601 -> ``3 May 2025, 14:05``; anything else is returned as it is."""
    try:
        # Python < 3.11 does not read the "Z" of UTC.
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return str(text)
    zone = moment.strftime(" %Z") if moment.tzinfo else ""
    return f"{moment.day} {moment:%B %Y}, {moment:%H:%M}{zone}"


def _digits(value: float, digits: int) -> str:
    """Write ``value`` with ``digits`` significant digits, never in scientific notation."""
    if value == 0:
        return "0"
    whole = math.floor(math.log10(abs(value))) + 1
    if round(abs(value), digits - whole) >= 10**whole:  # 0.9999 -> 1.000: a digit more in front
        whole += 1
    return f"{value:,.{max(0, digits - whole)}f}"


def _no_number(value: object) -> str:
    amount = number(value)
    if math.isinf(amount):
        return "∞" if amount > 0 else "−∞"
    return "NaN" if isinstance(value, float) else NOTHING
