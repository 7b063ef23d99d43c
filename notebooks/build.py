"""Make the notebooks from their sources: one source, one notebook in each language.

python notebooks/build.py                  run every source and write NAME.ipynb and NAME.zh.ipynb
python notebooks/build.py 4_telephone      one of them
python notebooks/build.py --sample         on the CIFAR-10 sample inside the package
python notebooks/build.py --texts          new texts beside the outputs that are there; runs nothing

A source is a script of jupytext's py:percent format: ``# %%`` starts a cell of code, ``# %%
[markdown] lang="zh"`` one of text that only the Chinese notebook has, ``tags=["slow"]`` a cell of
more than a few seconds. Code runs once, for both languages. It needs nbclient and ipykernel
(`pip install -e '.[docs]'`).
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "sources"
LANGUAGES = {"en": "", "zh": ".zh"}
#: Cells that every notebook has behind its title.
INTRODUCTION = SOURCES / "introduction.py"

_MARKER = re.compile(r'# %%( \[markdown\])?( lang="(?P<lang>\w+)")?( tags=(?P<tags>\[.*\]))?$')
#: Run in front of the first cell: results of studies come in both languages.
_BOTH_LANGUAGES = """
from dataclasses import replace as _replace
from paddle_resnet.studies import Result as _Result
get_ipython().display_formatter.formatters["text/html"].for_type(
    _Result,
    lambda r: "".join(
        f"<!--{x}-->{_replace(r, language=x)._repr_html_()}<!--end-->" for x in ("en", "zh")
    ),
)
"""


@dataclass(frozen=True)
class Cell:
    """One cell of a source."""

    markdown: bool
    text: str
    #: ``en`` or ``zh``; None where both languages have the cell.
    language: Optional[str] = None
    tags: tuple[str, ...] = ()


def sources() -> list[Path]:
    """Return the sources of the lessons, in order."""
    return sorted(SOURCES.glob("[0-9]_*.py"))


def notebook_path(source: Path, language: str) -> Path:
    """Return where the notebook of a source lies."""
    return FOLDER / f"{source.stem}{LANGUAGES[language]}.ipynb"


def read_cells(source: Path) -> list[Cell]:
    """Return the cells of a source, with those of the introduction behind its title.

    Raises:
        ValueError: a marker that is none of the format above, or a language that is unknown.
    """
    cells = _read(source)
    titles = sum(cell.text.startswith("# ") for cell in cells if cell.markdown)
    return cells[:titles] + _read(INTRODUCTION) + cells[titles:]


def _read(path: Path) -> list[Cell]:
    parts = re.split(r"^(?=# %%)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    cells = []
    for part in parts[1:]:
        marker, _, text = part.partition("\n")
        found = _MARKER.match(marker)
        if not found or found["lang"] not in (None, *LANGUAGES):
            raise ValueError(f"{path.name}: '{marker}' starts no cell.")
        markdown = found[1] is not None
        if markdown:
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        tags = tuple(ast.literal_eval(found["tags"])) if found["tags"] else ()
        cells.append(Cell(markdown, text.strip("\n"), found["lang"], tags))
    return cells


def notebook(cells: list[Cell], language: str, outputs: dict[str, list]) -> dict[str, Any]:
    """Return a notebook in one language (nbformat 4.5) as JSON types.

    Args:
        cells: of both languages.
        language: ``en`` or ``zh``.
        outputs: of each cell of code, by its text.
    """
    made = []
    for cell in cells:
        if cell.language not in (None, language):
            continue
        metadata = {"tags": list(cell.tags)} if cell.tags else {}
        one = {"cell_type": "markdown", "id": f"cell-{len(made)}", "metadata": metadata}
        if not cell.markdown:
            found = [_in_language(output, language) for output in outputs.get(cell.text, [])]
            one |= {"cell_type": "code", "execution_count": None, "outputs": found}
        made.append({**one, "source": cell.text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _in_language(output: dict[str, Any], language: str) -> dict[str, Any]:
    """Return an output with one of its two languages, and without the repr beside a page."""
    data = dict(output.get("data", {}))
    if "text/html" not in data:
        return output
    kept = re.search(rf"<!--{language}-->(.*?)<!--end-->", data["text/html"], flags=re.DOTALL)
    if kept:
        data["text/html"] = kept[1]
    data.pop("text/plain", None)
    return {**output, "data": data}


def run(cells: list[Cell], environment: dict[str, str]) -> dict[str, list]:
    """Run the English cells of code in a kernel of their own and return their outputs by text.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    import nbformat
    from nbclient import NotebookClient

    code = [c for c in cells if not c.markdown and c.language in (None, "en")]
    prepared = [replace(code[0], text=_BOTH_LANGUAGES), *code]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            nbformat.reads(json.dumps(notebook(prepared, "en", {})), as_version=4),
            timeout=1800,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,
        )
        client.create_kernel_manager()
        done = client.execute(env={**os.environ, **environment})
    outputs = {}
    for cell, ran in zip(code, done.cells[1:]):
        # Standard error has progress and warnings, which differ from machine to machine.
        kept = [dict(o) for o in ran.outputs if o.get("name") != "stderr"]
        outputs[cell.text] = _joined([{**o, **_without_count(o)} for o in kept])
    return outputs


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs with the text of neighbouring streams in one."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        if "text" in output and joined and "text" in joined[-1]:
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def _without_count(output: dict[str, Any]) -> dict[str, Any]:
    return {"execution_count": None} if "execution_count" in output else {}


def stored_outputs(source: Path, language: str) -> dict[str, list]:
    """Return the outputs of a notebook's cells of code by their text."""
    stored = json.loads(notebook_path(source, language).read_text(encoding="utf-8"))
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    return {"".join(cell["source"]): cell["outputs"] for cell in code}


def write(source: Path, language: str, outputs: dict[str, list]) -> None:
    """Write the notebook of a source in one language."""
    made = notebook(read_cells(source), language, outputs)
    text = json.dumps(made, ensure_ascii=False, indent=1)
    notebook_path(source, language).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Build the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description="Make the notebooks from their sources.")
    parser.add_argument("names", nargs="*", help="of sources, without .py; default: all")
    parser.add_argument("--sample", action="store_true", help="use the CIFAR-10 sample")
    parser.add_argument("--texts", action="store_true", help="keep outputs, run nothing")
    arguments = parser.parse_args()
    known = {source.stem: source for source in sources()}
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}, expected {', '.join(known)}")
    environment = {"PADDLE_RESNET_DATA": "sample"} if arguments.sample else {}
    for name in arguments.names or known:
        source = known[name]
        ran = None if arguments.texts else run(read_cells(source), environment)
        for language in LANGUAGES:
            outputs = stored_outputs(source, language) if ran is None else ran
            write(source, language, outputs)
        print(f"{name}: done", flush=True)


if __name__ == "__main__":
    main()
