"""What all our pages share: one file each, no network, and no script but our own."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from .. import formatting
from ..io.atomic_files import atomic_write_bytes

_PACKAGE = Path(__file__).parents[1]
#: What all pages share, then what is of one kind of page only.
_FOLDERS = [_PACKAGE / room / "templates" for room in ("pages", "report", "compare", "studies")]


def render(template: str, style: str = "", **values: object) -> str:
    """Return a page as HTML.

    Args:
        template: a file of a ``templates/`` folder that extends ``page.html.j2``.
        style: another such file: what this page needs beyond ``page.css``.
        **values: for the template.
    """
    script = _text("page.js")
    return (
        _templates()
        .get_template(template)
        .render(
            style=Markup(_text("page.css") + (_text(style) if style else "")),
            script=Markup(script),
            # The page allows this very script and no other, should an escape ever be forgotten.
            script_hash=_hash(script),
            **values,
        )
    )


def write(page: str, path: str | Path) -> Path:
    """Write a page, in one piece, and return its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    # "replace": JSON can hold halves of characters, which UTF-8 cannot.
    atomic_write_bytes(path, page.encode("utf-8", "replace"))
    return Path(path)


def json_block(value: object) -> Markup:
    """Return JSON that is safe inside a script element: no character of it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(folder) for folder in _FOLDERS]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=formatting.percent,
        count=formatting.count,
        decimal=formatting.decimal,
        confidence=formatting.confidence,
        passes=formatting.passes,
        duration=formatting.duration,
        rate=formatting.rate,
        date=formatting.date,
    )
    return environment


def _text(name: str) -> str:
    found = next(path for folder in _FOLDERS if (path := folder / name).is_file())
    return found.read_text(encoding="utf-8")
