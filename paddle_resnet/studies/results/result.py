"""What a study hands back: results as JSON, the verdict, a table and a figure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Optional, Union

from ...io.atomic_files import atomic_write_text
from ..cards import Card
from ..drawing.figure import FigureSpec
from ..texts import Text
from .result_table import Reference, Table
from .verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Result:
    """The result of one run of a study.

    In a notebook it shows its verdict, figure and table. ``facts`` holds settings, seeds, data,
    machine, seconds and ``results`` (JSON types; NaN and infinities are floats here).
    """

    card: Card
    experiment: ModuleType
    facts: dict[str, Any]
    language: str = "en"

    @property
    def results(self) -> dict[str, Any]:
        """What was measured."""
        return self.facts["results"]

    @property
    def verdict(self) -> Verdict:
        """Whether the study's claim held, by its rules."""
        card, reason = self.card, _why_not_judged(self.facts)
        if self.facts["interrupted"]:
            nothing = Text("the results that are there are kept", "已得到的结果保留")
            return Verdict((), nothing, reason, self.language)
        rules, numbers = self.experiment.judge(self.results)
        return Verdict(tuple(rules), card.finding.format(**numbers), reason, self.language)

    @property
    def table(self) -> Table:
        """The main results as a table; empty where the study was interrupted too early."""
        return self._whole(self.experiment.table, Table([], []))

    @property
    def figure_spec(self) -> FigureSpec:
        """The figure as data: panels of lines, points, bars and images."""
        return self._whole(self.experiment.figure, FigureSpec([]))

    @property
    def figure(self) -> Figure:
        """The figure, drawn by matplotlib.

        Raises:
            UserError: matplotlib is not installed.
        """
        from ..drawing.figure_matplotlib import draw

        return draw(self.figure_spec)

    @property
    def reference(self) -> list[Reference]:
        """Measured values beside those of the reference run, in which the study was developed.

        Empty where they cannot be compared: other settings, another network, the sample, or an
        interrupted run.
        """
        comparable = self.facts["comparable"] and _why_not_judged(self.facts) is None
        return self.experiment.reference(self.results) if comparable else []

    def to_dict(self) -> dict[str, Any]:
        """Return the whole result as JSON types; numbers that JSON lacks are words."""
        card = self.card
        sources = [source.as_dict() for source in card.sources]
        reference = [entry.as_dict() for entry in self.reference]
        return _to_json(
            {
                "study": card.name,
                "question": card.question.en,
                "claim": card.claim.en,
                "source": sources,
                **self.facts,
                "verdict": self.verdict.as_dict(card.rules),
                "reference": {"literature": card.paper_figure.en, "ours": reference},
            }
        )

    def save_json(self, path: Union[str, Path]) -> Path:
        """Write the result as JSON, whole or not at all, and return the path."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write_text(path, text + "\n")
        return Path(path)

    def save_html(self, path: Union[str, Path]) -> Path:
        """Write the result as one self-contained page and return the path."""
        from .study_page import write_study_page

        return write_study_page(self, path)

    def _repr_html_(self) -> str:
        from .notebook_view import as_html

        return as_html(self)

    def __str__(self) -> str:
        return f"{self.card.question.said_in(self.language)}\n{self.verdict.sentence}"

    def _whole(self, make: Any, otherwise: Any) -> Any:
        """Return ``make(results)``; ``otherwise`` where an interrupted run lacks what it needs."""
        if not self.facts["interrupted"]:
            return make(self.results)
        try:
            return make(self.results)
        except (KeyError, IndexError, ValueError):
            return otherwise


def _why_not_judged(facts: dict[str, Any]) -> Optional[Text]:
    if facts["interrupted"]:
        return Text("the run was interrupted", "实验被中断")
    if facts["data"].get("is_sample"):
        return Text(
            "only the bundled sample of CIFAR-10 was there, not the full set",
            "只有随包附带的 CIFAR-10 小样本，没有完整数据集",
        )
    return None


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _to_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
