"""Results as HTML for notebooks: verdict, figure and table, without a style sheet."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import UserError

if TYPE_CHECKING:
    from .result import Result

#: Behind white letters: a notebook may be light or dark.
_COLORS = {True: "#17693f", False: "#b3261e", None: "#8a5300"}


def as_html(result: Result) -> str:
    """Return a result as HTML: question, verdict, figure (where matplotlib is there) and table."""
    from .study_page import headings

    verdict = result.verdict
    parts = [
        f"<h3>{_escape(result.card.question.said_in(result.language))}</h3>",
        f'<p style="background:{_COLORS[verdict.holds]};color:#fff;padding:.4em .7em;'
        f'border-radius:4px"><b>{_escape(verdict.sentence)}</b></p>',
        _figure(result),
        table_html(headings(result), result.table.texts()),
    ]
    return "\n".join(parts)


def table_html(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML, first column left, others right."""
    if not rows:
        return ""
    head = "".join(f"<th>{_escape(heading)}</th>" for heading in headings)
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{"left" if i == 0 else "right"}">{_escape(cell)}</td>'
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _figure(result: Result) -> str:
    try:
        from ..drawing.figure_matplotlib import draw
    except UserError:  # no matplotlib
        return ""
    spec = result.figure_spec
    if not spec.panels:
        return ""
    file = io.BytesIO()
    draw(spec).savefig(file, format="png", dpi=110, bbox_inches="tight")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<img alt="{_escape(result.card.name)}" style="background:#fff" '
        f'src="data:image/png;base64,{data}">'
    )


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
