"""What the documentation site adds to docs/: the README files, other documents, the lessons.

Links are written for people who read the files in a checkout. On the site they lead to the page
made of the same file; a link to a file that is no page (source code, a folder) becomes its path. A
link to nothing ends the build.
"""

from __future__ import annotations

import functools
import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent
#: File of the repository: its page.
PAGES = {
    "README.md": "index.md",
    "README_cn.md": "zh/index.md",
    "RESULTS.md": "results.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_NAME = r"<code>\1</code>"
_LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
#: A line break between two Chinese characters, which a browser would show as a space.
_CHINESE_BREAK = re.compile(
    "(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])\n(?=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])"
)
_FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)


@functools.cache
def pages() -> dict[str, str]:
    """Return every page by the file of the repository that it is made of."""
    found = dict(PAGES)
    for path in sorted((ROOT / "docs").rglob("*.md")):
        found[path.relative_to(ROOT).as_posix()] = path.relative_to(ROOT / "docs").as_posix()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name, _, language = path.stem.partition(".")
        folder = "zh/lessons" if language == "zh" else "lessons"
        found[f"notebooks/{path.name}"] = f"{folder}/{name}.md"
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for path, page in pages().items():
        if path.startswith("docs/"):
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        content = lesson(json.loads(text)) if path.endswith(".ipynb") else text
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages."""
    by_page = {made: path for path, made in pages().items()}
    source = by_page[page.file.src_uri]
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_with_links(markdown[end : fence.start()], source), fence[0]]
        end = fence.end()
    return "".join([*parts, _with_links(markdown[end:], source)])


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Any) -> None:
    """Let the theme's own words be in the page's language."""
    config.theme["language"] = "zh" if page.file.src_uri.startswith("zh/") else "en"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the roles of docstrings, such as ``:class:`~paddle_resnet.ResNet```, into names."""
    return re.sub(r":(?:class|func|mod|meth|attr|data):<code>~?(?:\w+\.)*(\w+)</code>", _NAME, html)


def _with_links(markdown: str, source: str) -> str:
    return _LINK.sub(lambda link: _link(link, source), _CHINESE_BREAK.sub("", markdown))


def _link(link: re.Match, source: str) -> str:
    target, _, anchor = link["target"].partition("#")
    if not target or re.match(r"[a-z]+:", target):
        return link[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    here = posixpath.dirname(pages()[source])
    if path in pages():
        to = posixpath.relpath(pages()[path], here or ".")
        return f"{link['mark']}[{link['text']}]({to}{'#' + anchor if anchor else ''})"
    if path.startswith("docs/") and (ROOT / path).is_file():
        return f"{link['mark']}[{link['text']}]({posixpath.relpath(path[5:], here or '.')})"
    if (ROOT / path).exists():
        text = link["text"]
        return text if path in text or text.startswith("`") else f"{text} (`{path}`)"
    raise PluginError(f"{source}: the link to '{target}' leads to nothing.")


def lesson(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown, with its outputs."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text.replace("<details>", '<details markdown="1">'))
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            if "text" in output:
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
            elif "text/html" in output.get("data", {}):
                # A blank line would end the block of HTML.
                shown = re.sub(r"\n\s*\n", "\n", "".join(output["data"]["text/html"]))
                parts.append(f'<div class="result">\n{shown}\n</div>')
    return "\n\n".join(parts) + "\n"
