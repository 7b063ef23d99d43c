"""Texts in English and Chinese, and which of the two is wanted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional

from ..errors import UserError, did_you_mean

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Text:
    """One text in both languages."""

    en: str
    zh: str

    def said_in(self, language: str) -> str:
        """Return the text in ``en`` or ``zh``."""
        return self.zh if language == "zh" else self.en

    def format(self, **values: Any) -> Text:
        """Return the text with its ``{placeholders}`` filled in, in both languages."""
        return Text(self.en.format(**values), self.zh.format(**values))

    def __str__(self) -> str:
        return self.en


def choose_language(wanted: Optional[str] = None) -> str:
    """Return ``wanted``, or else the language of the user's locale: ``zh`` or ``en``.

    Args:
        wanted: ``en`` or ``zh``; ``zh_CN`` and the like count as ``zh``. Default: by the
            environment variables that set the language of messages, in POSIX's order.

    Raises:
        UserError: ``wanted`` is another language.
    """
    if wanted is not None:
        language = wanted.lower().replace("-", "_").split("_")[0]
        if language not in LANGUAGES:
            raise UserError(
                f"the language is '{wanted}', expected {' or '.join(LANGUAGES)}."
                + did_you_mean(wanted, LANGUAGES)
            )
        return language
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
