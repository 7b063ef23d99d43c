"""The documentation site: what its hooks make of links and notebooks, and a strict build."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("mkdocs", reason="needs mkdocs-material: pip install -e '.[docs]'")
_spec = importlib.util.spec_from_file_location("mkdocs_hooks", ROOT / "mkdocs_hooks.py")
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        ("README.md", "[d](docs/data.md)", "[d](data.md)"),
        ("README_cn.md", "[d](docs/zh/data.md#列表)", "[d](data.md#列表)"),
        ("README_cn.md", "[d](docs/glossary.md)", "[d](../glossary.md)"),
        ("docs/zh/data.md", "[w](weights.md)", "[w](weights.md)"),
        ("docs/data.md", "[s](../setup.py)", "s (`setup.py`)"),
        ("README.md", "![t](docs/images/telephone.svg)", "![t](images/telephone.svg)"),
        ("README.md", "[l](notebooks/4_telephone.zh.ipynb)", "[l](zh/lessons/4_telephone.md)"),
        ("README.md", "[p](https://example.org/x)", "[p](https://example.org/x)"),
    ],
)
def test_links_lead_to_pages(source, link, expected):
    assert hooks._with_links(link, source) == expected


def test_a_link_to_nothing_ends_the_build():
    with pytest.raises(hooks.PluginError, match=r"docs/data\.md: .*'gone\.md' leads to nothing"):
        hooks._with_links("[x](gone.md)", "docs/data.md")


def test_a_line_break_between_chinese_characters_is_no_space():
    assert hooks._with_links("残差\n网络\nResNet", "docs/zh/data.md") == "残差网络\nResNet"


def test_a_lesson_has_its_code_and_outputs():
    image = {"data": {"text/html": "<p>a</p>\n\n<p>b</p>"}}
    cells = [
        {"cell_type": "markdown", "source": ["# T"]},
        {"cell_type": "code", "source": ["x = 1\n", "x"], "outputs": [{"text": ["1\n"]}, image]},
    ]
    assert hooks.lesson({"cells": cells}) == (
        "# T\n\n```python\nx = 1\nx\n```\n\n```text\n1\n```\n\n"
        '<div class="result">\n<p>a</p>\n<p>b</p>\n</div>\n'
    )


@pytest.mark.slow
def test_the_site_is_built_strictly_and_asks_no_other_server(tmp_path):
    pytest.importorskip("mkdocstrings", reason="needs mkdocstrings: pip install -e '.[docs]'")
    pytest.importorskip("material", reason="needs mkdocs-material: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for page in hooks.pages().values():
        html = (tmp_path / page).with_suffix(".html").read_text(encoding="utf-8")
        language = "zh" if page.startswith("zh/") else "en"
        assert f'<html lang="{language}"' in html
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="([^"]*)"', html
        )
        assert not [address for address in loaded if address.startswith(("http", "//"))]
