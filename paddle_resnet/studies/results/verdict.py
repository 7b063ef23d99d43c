"""Rules that were fixed before the measurement, and the verdict that follows from them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..texts import Text
from .measures import measure_in

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Rule:
    """One comparison of a measured value with a threshold.

    Args:
        key: of its claim in the study's card.
        measure: what is compared, in mathematics and English.
        value: measured; None where it cannot be judged with this budget.
        threshold: what it is compared with.
        above: whether the claim holds where the value is above the threshold. Default: True.
        ratio: whether the margin is a factor (for values over several powers of ten) in place of
            a difference. Default: False.
    """

    key: str
    measure: str
    value: Optional[float]
    threshold: float
    above: bool = True
    ratio: bool = False

    @property
    def holds(self) -> Optional[bool]:
        """Whether the claim holds; a NaN does not. None if it cannot be judged."""
        if self.value is None:
            return None
        return self.value > self.threshold if self.above else self.value < self.threshold

    @property
    def margin(self) -> Optional[float]:
        """How far the value is on the side where the claim holds.

        A difference: positive where it holds. With ``ratio`` a factor: above 1 where it holds.
        """
        if self.value is None:
            return None
        if self.ratio:
            high, low = (self.value, self.threshold) if self.above else (self.threshold, self.value)
            return high / low if low else math.inf
        return (self.value - self.threshold) * (1 if self.above else -1)

    @property
    def _tightness(self) -> float:
        """The margin as a share of the threshold, to find the rule that decides."""
        if self.margin is None or math.isnan(self.margin):
            return math.inf
        return math.log(self.margin) if self.ratio else self.margin / (abs(self.threshold) or 1.0)


@dataclass(frozen=True)
class Verdict:
    """Whether a claim held in this run, by which rules, with what margin.

    ``str(verdict)`` and ``verdict.sentence`` are one sentence in the language of the run.
    """

    rules: tuple[Rule, ...]
    #: What was found, with its numbers; the same words whether the claim holds or not.
    finding: Text
    #: Why there is no verdict, such as an interruption; None where there is one.
    not_judged: Optional[Text] = None
    language: str = "en"

    @property
    def holds(self) -> Optional[bool]:
        """True if every rule that can be judged holds, False if one does not, None if none can."""
        judged = [rule.holds for rule in self.rules if rule.holds is not None]
        return None if self.not_judged or not judged else all(judged)

    @property
    def decisive(self) -> Optional[Rule]:
        """The rule with the smallest margin."""
        rules = [rule for rule in self.rules if rule.holds is not None]
        return min(rules, key=lambda rule: rule._tightness) if rules else None

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, in the language of the run."""
        return self.said_in(self.language)

    def said_in(self, language: str) -> str:
        """Return the verdict as one sentence in ``en`` or ``zh``."""
        return self.text.said_in(language)

    @property
    def text(self) -> Text:
        """The sentence in both languages."""
        head, rule = self._head, self.decisive
        en = f"{head.en}: {_typeset(self.finding.en)}"
        zh = f"{head.zh}：{_typeset(self.finding.zh)}"
        if rule is None or self.holds is None:
            return Text(en + ".", zh + "。")
        bound = f"{'>' if rule.above else '<'} {_short(rule.threshold)}"
        margin = f"×{_short(rule.margin)}" if rule.ratio else _short(rule.margin, sign=True)
        value = _short(rule.value)
        en += f" ({rule.measure} = {value}, claimed {bound}, margin {margin})."
        zh += f"（{measure_in('zh', rule.measure)} = {value}，判据 {bound}，余量 {margin}）。"
        return Text(en, zh)

    @property
    def _head(self) -> Text:
        if self.not_judged:
            return Text(f"Not judged, {self.not_judged.en}", f"未作判定，{self.not_judged.zh}")
        if self.holds is None:
            return Text("Not judged, no rule can decide it", "未作判定，现有判据无法裁决")
        judged = [rule for rule in self.rules if rule.holds is not None]
        met = sum(bool(rule.holds) for rule in judged)
        if met == len(judged):
            return Text("Holds", "成立")
        if met == 0:
            return Text("Does not hold here", "在此不成立")
        return Text(
            f"Does not hold here in full, {met} of {len(judged)} rules are met",
            f"在此不完全成立，{len(judged)} 条判据中满足 {met} 条",
        )

    def as_dict(self, claims: dict[str, Text]) -> dict[str, Any]:
        """Return the verdict as JSON types.

        Args:
            claims: the card's text of each rule.
        """
        rule, text = self.decisive, self.text
        return {
            "holds": self.holds,
            "measure": rule.measure if rule else None,
            "value": rule.value if rule else None,
            "threshold": rule.threshold if rule else None,
            "margin": rule.margin if rule else None,
            "sentence": text.en,
            "sentence_zh": text.zh,
            "rules": [_rule_as_dict(rule, claims[rule.key]) for rule in self.rules],
        }

    def __str__(self) -> str:
        return self.sentence


def _rule_as_dict(rule: Rule, claim: Text) -> dict[str, Any]:
    return {
        "rule": rule.key,
        "claim": claim.en,
        "measure": rule.measure,
        "value": rule.value,
        "threshold": rule.threshold,
        "above": rule.above,
        "margin": rule.margin,
        "margin_is_factor": rule.ratio,
        "holds": rule.holds,
    }


def worst(values: Sequence[float], above: bool = True) -> float:
    """Return the value of several seeds that a rule is hardest on: each seed must meet it."""
    return min(values) if above else max(values)


def _typeset(text: str) -> str:
    """Write ``1.6e-06`` as 1.6×10⁻⁶, and a minus in front of a number as one."""
    text = re.sub(
        r"(?<=\d)e([+-]\d+)\b",
        lambda found: "×10" + str(int(found[1])).translate(_SUPERSCRIPT),
        text,
    )
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def _short(value: Optional[float], sign: bool = False) -> str:
    """Write a number with three significant digits."""
    if value is None or not math.isfinite(value):
        return str(value)
    text = f"{value:{'+' if sign else ''}.3g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-").replace("-", "−")
