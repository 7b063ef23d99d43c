"""A comparison as one page with plots."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .. import formatting
from ..formatting import number
from ..pages import charts, page, ticks
from ..pages.charts import Chart, Series, Tick
from ..pages.metric_cards import Card, card_spans
from ..pages.recipe_table import environment_facts
from ..stats import wilson
from . import rows

#: Style classes of the two sides, named after their first use in a report.
STYLES = {"a": "train", "b": "validation"}


def write_comparison(found: dict[str, Any], path: str | Path) -> Path:
    """Write what `compare` found as a page, in one piece, and return its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    return page.write(render_comparison(found), path)


def render_comparison(found: dict[str, Any]) -> str:
    """Return what `compare` found as HTML."""
    drawn = _charts(found)
    cards = _cards(found)
    facts = dict(found["environment"])
    return page.render(
        "compare.html.j2",
        "compare.css",
        names=found["setting"]["names"],
        styles=STYLES,
        setting=rows.setting(found)[:4],
        environment=facts,
        is_sample=found["setting"]["data"]["is_sample"],
        headline=rows.headline(found),
        cards=cards,
        spans=card_spans(cards),
        sections={section.id: section for section in rows.sections(found)},
        charts={chart.id: chart for chart in drawn},
        strips=[_strip(found, kind) for kind in ("training", "inference")],
        memory=_memory(found),
        accuracy=_accuracy(found),
        curves_json=page.json_block([chart.data() for chart in drawn]),
        facts=environment_facts(facts),
        command=str(facts.get("command") or ""),
    )


def _cards(found: dict[str, Any]) -> list[Card]:
    cards = [
        Card(
            f"{title}, A to B",
            _times(measured["median"]),
            f"{measured['min']:.2f} to {measured['max']:.2f}",
        )
        for title, measured in (
            ("Training speed", found["speed"]["training"]["ratio"]),
            ("Inference speed", found["speed"]["inference"]["ratio"]),
        )
    ]
    peaks = [found["memory"][key]["peak"] for key in ("a", "b")]
    both = " and ".join(map(rows.megabytes, peaks))
    cards.append(Card("Peak memory, A to B", _times(peaks[0] / peaks[1]), both))
    agreement = found["agreement"]
    if agreement is None:
        cards.append(Card("Equal weights", "Not possible", "the weights' names do not agree"))
    else:
        plain, operator = agreement["plain"]["logits_eval"], agreement["operator"]
        detail = f"by plain Paddle; largest: {formatting.decimal(plain['largest'], 3)}"
        if operator:
            fused = rows.difference(operator["logits_eval"]["max_abs"])
            detail = f"by plain Paddle; CPU operator: {fused}"
        cards.append(
            Card("Difference of logits", rows.difference(plain["max_abs"]).capitalize(), detail)
        )
    return cards


def _times(ratio: float) -> str:
    return f"{ratio:.2f}{formatting.SPACE}×"


def _charts(found: dict[str, Any]) -> list[Chart]:
    drawn = [_loss_curve(found)]
    if found["training"]:
        drawn += [
            _training_curve(found, "loss", "Training loss", formatting.decimal),
            _training_curve(found, "acc_top1", "Training accuracy", formatting.percent, "%"),
        ]
    return drawn


def _loss_curve(found: dict[str, Any]) -> Chart:
    names, curve = found["setting"]["names"], found["curve"]
    series = []
    for key, style in STYLES.items():
        y = np.array([number(value) for value in curve[key]])
        x = np.arange(1, len(y) + 1, dtype=float)
        places = [f"step {i}" for i in range(1, len(y) + 1)]
        series.append(
            Series(names[key], style, x, y, [formatting.decimal(float(v)) for v in y], places)
        )
    values = np.concatenate([s.y for s in series])
    steps = len(series[0].x)
    span = (0.0, float(steps))
    chart = Chart("loss", "Loss", "", series, span, charts.value_range(values), over="steps")
    # Half a step is nothing.
    whole = [t for t in ticks.nice_ticks(0, steps) if t == round(t)]
    chart.x_ticks = [Tick(t / steps, formatting.count(t)) for t in whole]
    return chart


def _training_curve(
    found: dict[str, Any], key: str, title: str, write: Any, unit: str = ""
) -> Chart:
    names, training = found["setting"]["names"], found["training"]
    series = []
    for side, style in STYLES.items():
        rows = training[side]["history"]
        x = np.array([row["seconds"] for row in rows])
        y = np.array([number(row[key]) for row in rows])
        places = [
            f"{formatting.duration(float(s))} · epoch {formatting.passes(r['epochs'])}"
            for s, r in zip(x, rows)
        ]
        series.append(Series(names[side], style, x, y, [write(float(v)) for v in y], places))
    values = np.concatenate([s.y for s in series])
    span = (0.0, max(float(s.x.max()) for s in series))
    most = 1.0 if unit else math.inf
    return Chart(
        f"train-{key}",
        title,
        "",
        series,
        span,
        charts.value_range(values, most),
        unit,
        over="seconds of training",
    )


def _strip(found: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the positions of bars, ranges and single rounds on a scale from zero."""
    measured = found["speed"][kind]
    end = 1.04 * max(measured[key]["max"] for key in STYLES)
    bars = [
        {
            "key": key,
            "median": measured[key]["median"] / end,
            "low": measured[key]["min"] / end,
            "high": measured[key]["max"] / end,
            "rounds": [value / end for value in measured[key]["rounds"]],
            "text": formatting.rate(measured[key]["median"]),
            "range": " to ".join(formatting.rate(measured[key][bound]) for bound in ("min", "max")),
        }
        for key in STYLES
    ]
    rounds = list(zip(*(measured[key]["rounds"] for key in STYLES), measured["ratio"]["rounds"]))
    return {
        "title": f"{kind.capitalize()}, images per second",
        "bars": bars,
        "ratio": measured["ratio"],
        "rounds": rounds,
    }


def _memory(found: dict[str, Any]) -> list[dict[str, Any]]:
    measured = found["memory"]
    end = 1.04 * max(measured[key]["peak"] for key in STYLES)
    return [
        {
            "key": key,
            "before": measured[key]["before"] / end,
            "own": (measured[key]["peak"] - measured[key]["before"]) / end,
            "text": rows.megabytes(measured[key]["peak"]),
            "range": f"{rows.megabytes(measured[key]['peak'] - measured[key]['before'])} its own",
        }
        for key in STYLES
    ]


def _accuracy(found: dict[str, Any]) -> list[dict[str, Any]]:
    if not found["training"]:
        return []
    bars = []
    for key in STYLES:
        test = found["training"][key]["test"]
        low, high = wilson(round(test["acc_top1"] * test["images"]), test["images"])
        bars.append(
            {
                "key": key,
                "median": test["acc_top1"],
                "low": low,
                "high": high,
                "rounds": [],
                "text": formatting.percent(test["acc_top1"]),
                "range": f"95{formatting.SPACE}%: {100 * low:.1f} to {formatting.percent(high, 1)}",
            }
        )
    return bars
