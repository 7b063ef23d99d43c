"""Names of measured quantities in the language of a page."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import yaml


def measure_in(language: str, name: str) -> str:
    """Return what an experiment calls a quantity, in ``en`` or ``zh``.

    Experiments name quantities in English, mathematics and names of networks;
    ``measure_words.yaml`` has the Chinese for the English.
    """
    if language == "zh":
        for pattern, chinese in _words():
            name = pattern.sub(chinese, name)
    return name


@functools.cache
def _words() -> list[tuple[re.Pattern[str], str]]:
    text = (Path(__file__).parent / "measure_words.yaml").read_text(encoding="utf-8")
    return [(re.compile(both["en"]), both["zh"]) for both in yaml.safe_load(text)]
