"""The card of a study: its question, claim, sources and texts, read from ``cards/NAME.yaml``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import yaml

from .texts import Text

FOLDER = Path(__file__).parent / "cards"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Source:
    """Where a claim stands. ``arxiv`` is the number, such as ``1512.03385``; may be empty."""

    paper: Text
    arxiv: str
    place: Text

    def as_dict(self) -> dict[str, str]:
        """Return the source as JSON types, in English."""
        return {"paper": self.paper.en, "arxiv": self.arxiv, "place": self.place.en}


@dataclass(frozen=True)
class Card:
    """What is known of a study before it has run; see the files for the meaning of each text."""

    name: str
    question: Text
    claim: Text
    sources: tuple[Source, ...]
    #: What must be there: ``none``, ``resnet20``, ``mini networks``.
    needs: str
    #: CPU seconds of one core: at the default settings, and with ``--full``.
    seconds: float
    seconds_full: float
    #: Number of seeds by default, and with ``--full``.
    seeds: int
    seeds_full: int
    procedure: Text
    paper_figure: Text
    our_figure: Text
    finding: Text
    rules: dict[str, Text]
    columns: dict[str, Text] = field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    #: Whether another trained network can take the place of the study's own.
    takes_model: bool = False
    #: Whether it draws weights at random, so that other seeds give other numbers.
    takes_seeds: bool = True


@functools.cache
def read_card(name: str) -> Card:
    """Return the card of a study."""
    raw = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), _LOADER)
    texts = ("question", "claim", "procedure", "paper_figure", "our_figure", "finding")
    raw.update({key: _text(raw[key]) for key in texts})
    for key in ("rules", "columns"):
        raw[key] = {name: _text(text) for name, text in raw.get(key, {}).items()}
    raw["sources"] = tuple(
        Source(_text(s["paper"]), str(s["arxiv"]), _text(s["place"])) for s in raw["sources"]
    )
    raw["notes"] = tuple(map(_text, raw.get("notes", ())))
    return Card(name=name, **raw)


def _text(raw: Union[str, dict[str, Any]]) -> Text:
    if isinstance(raw, str):  # a title, which is the same in both
        return Text(raw, raw)
    # A folded block of YAML ends with a line break, and has a space where a line ends: none belongs
    # behind the full stop of a Chinese sentence.
    return Text(raw["en"].strip(), re.sub(r"(?<=[，。；：？！、）”]) ", "", raw["zh"].strip()))
