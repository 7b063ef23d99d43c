"""The stored results: each can be read, judged and drawn, and docs/studies.md has their numbers."""

import re
from pathlib import Path

import pytest

from paddle_resnet import formatting
from paddle_resnet.studies import STUDIES, load_result
from paddle_resnet.studies.results.study_page import render_gallery, render_study

ROOT = Path(__file__).parents[2]
#: Explained under the table of docs/studies.md.
OUTSIDE = {
    ("shortcuts", "R, early ReLU, 110"),
    ("shortcuts", "R, pre-activation, 20"),
    ("shortcuts", "R, pre-activation, 56"),
    ("depth-use", "probe, layer1.2"),
    ("depth-use", "probe, layer2.1"),
    ("landscape", "L(±0.25), mini_plain20"),
    ("landscape", "L(±0.25), mini_resnet20"),
}
#: Claims that do not hold in full; docs/studies.md lists what fails.
PARTLY = {"lesion", "depth-use", "paths"}


@pytest.fixture(scope="module")
def results():
    return {name: load_result(ROOT / "results" / "studies" / f"{name}.json") for name in STUDIES}


def documented():
    """(study, quantity) -> (measured, expected, starred), out of the table."""
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    table = text.split("<!-- measured: begin -->")[1].split("<!-- measured: end -->")[0]
    found = {}
    for line in table.strip().splitlines()[2:]:
        parts = line.replace("\\|", "\0").strip("| ").split(" | ")
        study, quantity, measured, expected, _ = (part.replace("\0", "|") for part in parts)
        starred = measured.endswith(" *")
        found[study.strip("`"), quantity] = (measured.removesuffix(" *"), expected, starred)
    return found


def test_the_document_has_every_reference_value(results):
    wanted = {
        (name, one.name): (
            formatting.decimal(one.measured, 3),
            formatting.decimal(one.expected, 3),
            not one.within,
        )
        for name, result in results.items()
        for one in result.reference
    }
    assert len(wanted) > 80
    assert documented() == wanted
    assert {key for key, (_, _, starred) in wanted.items() if starred} == OUTSIDE


def test_stored_results_are_of_the_full_data_and_quick_settings(results):
    for name, result in results.items():
        assert result.facts["comparable"], name
        assert not result.facts["interrupted"], name
        assert not result.facts["data"].get("is_sample"), name
        assert result.facts["machine"]["threads"] == 1, name


def test_stored_verdicts(results):
    assert {name for name, result in results.items() if not result.verdict.holds} == PARTLY
    for name, result in results.items():
        assert {rule.key for rule in result.verdict.rules} <= set(result.card.rules), name
        assert result.verdict.sentence.startswith("Holds" if name not in PARTLY else "Does not")


def test_infinite_values_are_written_as_such(results):
    page = render_study(results["decay"])
    assert page.count("<td>∞</td>") == 2
    assert not re.search(r">-?(nan|inf)<", "".join(map(render_study, results.values())))


def test_a_dashed_line_has_a_dashed_key(results):
    """Three dashes, and no dot that would fill a gap."""
    page = render_study(results["telephone"])
    keys = re.findall(r'<svg viewBox="0 0 24 10"[^>]*>(.*?)</svg>([^<]*)', page)
    assert {name for svg, name in keys if "M0 5H24" in svg} == {"plain no BN", "residual no BN"}
    for svg, _ in keys:
        assert ("dashed" in svg) == ("M0 5H24" in svg)
        assert ("h.01" in svg) == ("dashed" not in svg)


def test_a_verdict_can_be_read_in_a_light_and_in_a_dark_notebook(results):
    for name in ("telephone", "lesion"):
        shown = results[name]._repr_html_()
        assert re.search(r'<p style="background:#[0-9a-f]{6};color:#fff;', shown)


def test_chinese_sentences_follow_each_other_without_a_space(results):
    for result in results.values():
        assert not re.search("[，。；：？！] ", result.card.procedure.zh + result.card.finding.zh)


def test_stored_results_make_pages(results):
    index = render_gallery(list(results.values()))
    assert index.count('class="cover"') == len(results)
    for name, result in results.items():
        page = render_study(result)
        assert f'href="{name}.html"' in index
        assert page.count("<figure") == len(result.figure_spec.panels)
        for rule in result.verdict.rules:
            assert formatting.decimal(rule.threshold, 3) in page
