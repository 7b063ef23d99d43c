"""The page of a study, and the gallery of several."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

import yaml

from ... import formatting
from ...pages import page
from ..drawing.figure import FigureSpec
from ..drawing.figure_page import PageFigure, PagePanel, page_panels
from ..texts import Text
from .measures import measure_in
from .result import Result
from .result_table import cell_text
from .verdict import Verdict

_BADGES = {"holds": "good", "partly": "warn", "fails": "bad", "not_judged": "warn"}


def write_study_page(result: Result, path: Union[str, Path]) -> Path:
    """Write the page of a study, one file that loads nothing, and return its path."""
    return page.write(render_study(result), path)


def write_gallery(results: Sequence[Result], folder: Union[str, Path]) -> Path:
    """Write ``NAME.html`` for every result and ``index.html``; return the path of the index.

    Args:
        results: at least one, all in one language.
        folder: made where it does not exist.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        write_study_page(result, folder / f"{result.card.name}.html")
    return page.write(render_gallery(results), folder / "index.html")


def render_study(result: Result) -> str:
    """Return the page of a study as HTML."""
    card, language, verdict = result.card, result.language, result.verdict
    spec = result.figure_spec
    panels = page_panels(spec, card.name)
    texts = ("question", "claim", "procedure", "paper_figure", "our_figure")
    return page.render(
        "study.html.j2",
        style="study.css",
        lang=html_language(language),
        name=card.name,
        t={key: getattr(card, key).said_in(language) for key in texts},
        w=words(language),
        badge=badge(verdict, language),
        facts=_facts(result),
        notices=_notices(result),
        verdict=verdict.said_in(language),
        sources=[
            (one.paper.said_in(language), one.arxiv, one.place.said_in(language))
            for one in card.sources
        ],
        panels=panels,
        columns=spec.columns,
        figure_note=spec.note,
        rules=rule_rows(result),
        table=result.table,
        headings=headings(result),
        notes=[note.said_in(language) for note in card.notes],
        reference=[
            {
                "name": measure_in(language, one.name),
                "measured": cell_text(one.measured),
                "expected": cell_text(one.expected),
                "tolerance": "±" + _tolerance(one.tolerance, one.relative),
                "within": one.within,
            }
            for one in result.reference
        ],
        command=command(result),
        settings=_settings(result),
        charts_json=page.json_block([p.data() for p in panels if isinstance(p, PagePanel)]),
    )


def render_gallery(results: Sequence[Result]) -> str:
    """Return the index of a gallery as HTML; it links to ``NAME.html`` beside it."""
    language = results[0].language
    entries = [
        {
            "name": result.card.name,
            "file": f"{result.card.name}.html",
            "question": result.card.question.said_in(language),
            "badge": badge(result.verdict, language),
            "finding": result.verdict.said_in(language),
            "cost": _cost(result),
            "rules": rule_rows(result),
            "cover": _cover(result),
        }
        for result in results
    ]
    kinds = [outcome(result.verdict) for result in results]
    counts = {kind: kinds.count(kind) for kind in _BADGES}
    summary = words(language)["gallery_summary"].format(studies=len(results), **counts)
    machine = results[0].facts["machine"]
    facts = [machine["cpu"], f"Paddle {machine['paddle']}"]
    return page.render(
        "gallery.html.j2",
        style="study.css",
        lang=html_language(language),
        w=words(language),
        facts=facts,
        summary=summary,
        entries=entries,
    )


def _cover(result: Result) -> Optional[PageFigure]:
    """Return the panel that stands for a study; None where it was interrupted too early."""
    spec = result.figure_spec
    if not spec.panels:
        return None
    shown = spec.panels[min(spec.cover, len(spec.panels) - 1)]
    return page_panels(FigureSpec([shown]), f"cover-{result.card.name}")[0]


@functools.cache
def words(language: str) -> dict[str, str]:
    """Return the words of the pages in ``en`` or ``zh``."""
    path = Path(__file__).parent / "page_words.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: Text(**both).said_in(language) for key, both in raw.items()}


def html_language(language: str) -> str:
    """Return the value of the ``lang`` attribute."""
    return "zh-CN" if language == "zh" else "en"


def outcome(verdict: Verdict) -> str:
    """Return ``holds``, ``partly``, ``fails`` or ``not_judged``."""
    if verdict.holds is None:
        return "not_judged"
    if verdict.holds:
        return "holds"
    return "partly" if any(rule.holds for rule in verdict.rules) else "fails"


def badge(verdict: Verdict, language: str) -> tuple[str, str]:
    """Return the class and the words of the badge."""
    kind = outcome(verdict)
    return _BADGES[kind], words(language)[kind]


def rule_rows(result: Result) -> list[dict[str, str]]:
    """Return the rules as texts for a table."""
    rows, w = [], words(result.language)
    for rule in result.verdict.rules:
        margin = formatting.NOTHING
        if rule.margin is not None:
            number = formatting.decimal(rule.margin, 3)
            sign = "+" if rule.margin >= 0 else ""
            margin = f"×{number}" if rule.ratio else (sign + number).replace("-", "−")
        rows.append(
            {
                "claim": result.card.rules[rule.key].said_in(result.language),
                "measure": measure_in(result.language, rule.measure),
                "value": formatting.decimal(rule.value, 3).replace("-", "−"),
                "threshold": ("> " if rule.above else "< ") + formatting.decimal(rule.threshold, 3),
                "margin": margin,
                "class": {True: "met", False: "not-met", None: "not-judged"}[rule.holds],
                "met": {True: w["yes"], False: w["no"], None: w["not_judged"]}[rule.holds],
            }
        )
    return rows


def headings(result: Result) -> list[str]:
    """Return the headings of the result's table in its language."""
    columns = result.card.columns
    return [
        columns[name].said_in(result.language) if name in columns else str(name)
        for name in result.table.columns
    ]


def command(result: Result) -> str:
    """Return the command line that repeats the run."""
    facts = result.facts
    parts = ["paddle-resnet", "study", result.card.name]
    if result.card.takes_seeds:
        parts += ["--seeds", str(len(facts["seeds"]))]
    if facts["model"] is not None:
        parts += ["--model", facts["model"]]
    default = result.experiment.SETTINGS
    for name, value in facts["settings"].items():
        if value != default[name]:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            parts += ["--set", f"{name}={text}"]
    return shlex.join(parts)


def _facts(result: Result) -> list[str]:
    w, data, facts = words(result.language), result.facts["data"], []
    for split, count in data.get("images", {}).items():
        facts.append(w["images"].format(n=formatting.count(count), split=w[split]))
    sizes = data.get("sizes", [data.get("size")])
    if 16 in sizes:
        facts.append(w["half_size" if sizes == [16] else "both_sizes"])
    if result.card.takes_seeds:
        seeds = result.facts["seeds"]
        key = "seed" if len(seeds) == 1 else "seeds"
        facts.append(w[key].format(list=", ".join(map(str, seeds))))
    facts.append(_cost(result))
    facts.append(f"Paddle {result.facts['machine']['paddle']}")
    return facts


def _cost(result: Result) -> str:
    time = formatting.duration(float(result.facts["seconds"]["cpu"]))
    return words(result.language)["cpu_seconds"].format(time=time)


def _notices(result: Result) -> list[str]:
    w, facts, found = words(result.language), result.facts, []
    if facts["data"].get("is_sample"):
        found.append(w["sample_notice"])
    if facts["interrupted"]:
        found.append(w["interrupted_notice"])
    if facts["model"] is not None:
        found.append(w["model_notice"].format(model=facts["model"]))
    return found


def _settings(result: Result) -> list[tuple[str, str]]:
    facts = {**result.facts["settings"], "seeds": result.facts["seeds"], **result.facts["machine"]}
    rows = []
    for key, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append((key, text if value is not None else formatting.NOTHING))
    return rows


def _tolerance(value: float, relative: bool) -> str:
    return formatting.percent(value, 0) if relative else formatting.decimal(value, 2)
