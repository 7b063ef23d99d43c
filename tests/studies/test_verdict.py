"""Verdicts follow from rules alone, in both languages."""

import math

import pytest

from paddle_resnet.studies.results.verdict import Rule, Verdict, worst
from paddle_resnet.studies.texts import Text

FOUND = Text("a is {a}", "a 为 {a}").format(a=3)


def verdict(*rules, **options):
    return Verdict(tuple(rules), FOUND, **options)


@pytest.mark.parametrize(
    ("value", "above", "holds", "margin"),
    [(0.3, True, True, 0.2), (0.05, True, False, -0.05), (0.05, False, True, 0.05)],
)
def test_margin_is_positive_exactly_where_the_claim_holds(value, above, holds, margin):
    rule = Rule("k", "gap", value, 0.1, above)
    assert rule.holds is holds
    assert rule.margin == pytest.approx(margin)
    assert (rule.margin > 0) == rule.holds


def test_margin_as_a_factor():
    assert Rule("k", "R", 300.0, 30.0, ratio=True).margin == pytest.approx(10)
    assert Rule("k", "R", 50.0, 200.0, above=False, ratio=True).margin == pytest.approx(4)
    assert Rule("k", "R", 0.0, 200.0, above=False, ratio=True).margin == math.inf


def test_nan_does_not_hold():
    for above in (True, False):
        assert Rule("k", "x", math.nan, 1.0, above).holds is False


def test_holds_only_if_every_rule_does():
    good, bad, open_ = Rule("a", "a", 2, 1), Rule("b", "b", 0, 1), Rule("c", "c", None, 1)
    assert verdict(good).holds is True
    assert verdict(good, bad).holds is False
    assert verdict(good, open_).holds is True
    assert verdict(open_).holds is None
    assert verdict(good, not_judged=Text("x", "x")).holds is None


def test_the_tightest_rule_decides():
    wide, tight = Rule("w", "wide", 100.0, 1.0), Rule("t", "tight", 1.1, 1.0)
    factor = Rule("f", "factor", 1.01, 1.0, ratio=True)
    assert verdict(wide, tight).decisive is tight
    assert verdict(wide, tight, factor).decisive is factor


def test_the_sentence_names_margin_and_failure():
    assert verdict(Rule("k", "gap", 0.3, 0.1)).said_in("en") == (
        "Holds: a is 3 (gap = 0.3, claimed > 0.1, margin +0.2)."
    )
    assert verdict(Rule("k", "gap", 0.05, 0.1)).said_in("zh") == (
        "在此不成立：a 为 3（gap = 0.05，判据 > 0.1，余量 −0.05）。"
    )
    partly = verdict(Rule("k", "gap", 0.3, 0.1), Rule("r", "R", 1e7, 1e6, above=False, ratio=True))
    assert partly.said_in("en") == (
        "Does not hold here in full, 1 of 2 rules are met: a is 3 "
        "(R = 1e7, claimed < 1e6, margin ×0.1)."
    )


def test_json_has_both_languages_and_every_rule():
    rule = Rule("k", "gap", 0.3, 0.1)
    found = verdict(rule).as_dict({"k": Text("claimed", "论断")})
    assert found["holds"] is True
    assert (found["measure"], found["value"], found["threshold"]) == ("gap", 0.3, 0.1)
    assert found["sentence"].startswith("Holds")
    assert found["sentence_zh"].startswith("成立")
    assert found["rules"][0]["claim"] == "claimed"


def test_a_rule_over_seeds_takes_the_worst():
    assert worst([3, 1, 2]) == 1
    assert worst([3, 1, 2], above=False) == 3
