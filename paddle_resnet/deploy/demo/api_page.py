"""The service's OpenAPI description as a page that needs no other server."""

from __future__ import annotations

import html
from typing import Any

from .demo_page import demo_text

_STYLE = """
main { max-width: 820px; } section { margin: 28px 0; } h2 { font-size: 19px; margin: 0 0 4px; }
h2 code { background: var(--bar); border-radius: 6px; padding: 2px 8px; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; }
td { border-top: 1px solid var(--line); padding: 5px 12px 5px 0; vertical-align: top; }
td:first-child { white-space: nowrap; font-family: ui-monospace, monospace; font-size: 14px; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px;
  overflow-x: auto; font-size: 13px; }
a { color: var(--accent); }
"""
_EXAMPLES = {
    "/predict": """\
curl --data-binary @cat.jpg {root}/predict
curl -F file=@cat.jpg -F file=@dog.jpg '{root}/predict?top=3'

import requests
answer = requests.post("{root}/predict", data=open("cat.jpg", "rb")).json()
print(answer["results"][0]["top"][0])""",
    "/health": "curl {root}/health",
    "/metrics": "curl {root}/metrics",
}


def api_page(description: dict[str, Any], root: str) -> str:
    """Return the page.

    Args:
        description: of OpenAPI, as FastAPI makes it.
        root: address of the service.
    """
    sections = [
        _section(method, path, operation, root)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    title = html.escape(description["info"]["title"])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">\n'
        f"<title>{title} · API</title>\n<style>{demo_text('page.css')}{_STYLE}</style></head>\n"
        f"<body><main><header><h1>{title}</h1>\n"
        '<p id="facts"><a href="./">try it</a> · <a href="openapi.json">openapi.json</a></p>'
        f"</header>\n{''.join(sections)}</main></body></html>\n"
    )


def _section(method: str, path: str, operation: dict[str, Any], root: str) -> str:
    rows = [
        (f"?{each['name']}=", f"{each.get('description', '')}; default: {_default(each)}")
        for each in operation.get("parameters", [])
    ]
    rows += [
        (status, answer.get("description", "")) for status, answer in operation["responses"].items()
    ]
    cells = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>" for name, text in rows
    )
    example = _EXAMPLES.get(path, "").format(root=root)
    return (
        f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>\n"
        f"<p>{html.escape(operation.get('summary', ''))}.</p>\n<table>{cells}</table>\n"
        f"<pre>{html.escape(example)}</pre></section>\n"
    )


def _default(parameter: dict[str, Any]) -> str:
    return str(parameter.get("schema", {}).get("default", "none")).lower()
