"""`--format web`: one page that classifies without a network connection."""

from __future__ import annotations

import base64
import gzip
import html
import re
from pathlib import Path

from ...errors import DeployError
from ..demo.demo_page import demo_text, page_facts, render
from ..manifest import Manifest
from .onnxruntime_web import LICENSE, VERSION, WebRuntime

#: Nothing is fetched: the page runs the scripts inside it, and WebAssembly.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; media-src blob:; base-uri 'none'; "
    "form-action 'none'"
)


def write_web_page(file: Path, manifest: Manifest, runtime: WebRuntime, page: Path) -> None:
    """Write a page with an exported ONNX file and ONNX Runtime Web inside.

    Args:
        file: the ONNX file.
        manifest: of the file.
        runtime: for browsers.
        page: to write.
    """
    facts = page_facts(manifest, f"onnxruntime-web {VERSION}")
    blocks = {"runtime": runtime.wasm, "network": gzip.compress(file.read_bytes(), 9, mtime=0)}
    data = "\n".join(
        f'<script id="{name}" type="application/octet-stream">'
        f"{base64.b64encode(content).decode('ascii')}</script>"
        for name, content in blocks.items()
    )
    scripts = [module_as_script(runtime.script), demo_text("web.js")]
    note = "Images stay in this page: it works without a network connection."
    content = render(manifest, facts, scripts, note, module=True)
    content = content.replace(
        "<head>\n",
        f'<head>\n<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">\n'
        f"<!--\n{LICENSE}\n-->\n",
        1,
    )
    content = content.replace('<script id="page-facts"', f'{data}\n<script id="page-facts"', 1)
    page.write_text(content, encoding="utf-8")


def module_as_script(module: str) -> str:
    """Return an ES module as code that sets ``globalThis.ort``: pages of one file cannot import.

    Raises:
        DeployError: the module does not end with one list of exports.
    """
    found = re.search(r"export\{([^{}]*)\};\s*(//#.*\s*)?$", module)
    if found is None or "</script" in module:
        raise DeployError("onnxruntime-web is not made as expected: its exports were not found.")
    names = [part.split(" as ") for part in found.group(1).split(",")]
    fields = ",".join(f"{public}:{own}" for own, public in names if public != "default")
    return f"{module[: found.start()]}globalThis.ort={{{fields}}};"
