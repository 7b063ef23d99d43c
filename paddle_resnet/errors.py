"""Errors that a user can cause: one clear sentence each.

The command line prints the sentence and exits with code 2; a traceback is kept for our own bugs.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """Base of every error that wrong input or a hostile machine can cause.

    Not a `ValueError`: code that catches Paddle's or NumPy's own would catch these with them.
    """


class ConfigError(UserError):
    """A recipe, or an override of one, that cannot be used."""


class ModelError(UserError):
    """An unknown network, or options that a network cannot have."""


class DataError(UserError):
    """Data that is missing, corrupt or not what it claims to be."""


class WeightsError(UserError):
    """A weights file that is corrupt, unsafe or made for another network.

    Args:
        sentence: for the user.
        option: the argument of :func:`paddle_resnet.load_weights` that would help, if one would.
        choices: what that argument may be.
    """

    def __init__(self, sentence: str, option: str = "", choices: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.option = option
        self.choices = list(choices)


class DeployError(UserError):
    """An export, an exported file or a service that cannot be made or used."""


class TrainingError(UserError):
    """A training that cannot start or cannot continue, such as one whose loss is NaN."""


#: Characters of a path that a sentence quotes.
PATH_LIMIT = 300


def for_display(text: object, limit: int = 100) -> str:
    """Return what a user gave as it can stand in a sentence: printable, and not endless.

    Args:
        text: anything; its ``str``.
        limit: characters; the rest becomes dots.
    """
    given = str(text)
    with contextlib.suppress(UnicodeEncodeError):
        # The bytes of a name that the system's encoding does not know were most often UTF-8.
        given = given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    printable = "".join(c if c.isprintable() else "?" for c in given[:limit])
    return printable + ("..." if len(given) > limit else "")


def did_you_mean(given: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the choice closest to ``given``, else an empty string.

    The leading space lets callers append the result to a sentence as it is.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(given.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean '{by_lower[matches[0]]}'?" if matches else ""
