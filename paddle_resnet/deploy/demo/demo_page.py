"""Put the demo page together: one file with its style and scripts inside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..manifest import Manifest

_FOLDER = Path(__file__).parent


#: Of an image that a page decodes: it needs some 12 bytes for each.
_MAX_PIXELS = 40_000_000


def server_page(
    manifest: Manifest,
    runtime: str,
    max_body: int,
    heatmap: bool,
    max_pixels: int = _MAX_PIXELS,
) -> str:
    """Return the page that asks the service it came from.

    Args:
        manifest: of the network.
        runtime: its name and version.
        max_body: bytes of an image that the service takes.
        heatmap: whether the service draws heat maps.
        max_pixels: of an image that the service takes.
    """
    limits = {"maxBytes": max_body, "maxPixels": max_pixels}
    facts = {**page_facts(manifest, runtime), "heatmap": heatmap, **limits}
    return render(manifest, facts, [demo_text("server.js")], "Images go to this service only.")


def page_facts(manifest: Manifest, runtime: str) -> dict[str, Any]:
    """Return what the page shows of a network."""
    return {
        "model": manifest.model,
        "precision": manifest.precision,
        "runtime": runtime,
        "classes": manifest.classes,
        "inputShape": manifest.input_shape,
        "centre": manifest.centre,
        "heatmap": False,
        "maxPixels": _MAX_PIXELS,
    }


def render(
    manifest: Manifest, facts: dict[str, Any], scripts: list[str], note: str, module: bool = False
) -> str:
    """Return a page.

    Args:
        manifest: of the network.
        facts: for the scripts, as JSON; names of classes come from anyone.
        scripts: that define ``classify``, in order, before the page's own.
        note: where images go.
        module: whether the scripts are a module, in which ``import.meta`` is known.
    """
    parts = {
        "TITLE": html.escape(manifest.model),
        "NOTE": html.escape(note),
        "STYLE": demo_text("page.css"),
        "FACTS": jsondemo_text(facts),
        "SCRIPT": "\n".join([*scripts, demo_text("page.js")]),
    }
    page = demo_text("page.html")
    if module:
        page = page.replace("<script>", '<script type="module">')
    head, *pieces = page.split("{{")
    for piece in pieces:
        name, _, rest = piece.partition("}}")
        head += parts[name] + rest
    return head


def jsondemo_text(value: object) -> str:
    """Return JSON that no character of can end a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@lru_cache(maxsize=4)
def security_headers(page: str) -> dict[str, str]:
    """Return headers that let a page run its own scripts and no others, and talk to its origin."""
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in _scripts(page)) or "'none'"
    return {
        "Content-Security-Policy": f"default-src 'none'; script-src {hashes}; "
        "style-src 'unsafe-inline'; img-src data: blob:; media-src blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _scripts(page: str) -> list[str]:
    return [piece.split("</script>", 1)[0] for piece in page.split("<script>")[1:]]


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def demo_text(name: str) -> str:
    """Return a file of this folder."""
    return (_FOLDER / name).read_text(encoding="utf-8")
