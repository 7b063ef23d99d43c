"""README and docs/: links lead somewhere, commands exist, and both languages say the same."""

import argparse
import importlib.util
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from paddle_resnet.cli import COMMANDS
from paddle_resnet.config.recipes import load_config

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "README_cn.md", "RESULTS.md", "CONTRIBUTING.md")),
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PAIRS = [
    (ROOT / "README.md", ROOT / "README_cn.md"),
    *((ROOT / "docs" / path.name, path) for path in sorted((ROOT / "docs/zh").glob("*.md"))),
]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
pairs = pytest.mark.parametrize(
    ("english", "chinese"), PAIRS, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def _parser_of(script):
    spec = importlib.util.spec_from_file_location(script, ROOT / "tools" / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.parser()


#: Scripts of tools/ that are no command of the package, and what makes their parsers.
SCRIPTS = {"ship_network": lambda: _parser_of("ship_network")}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def prose(page):
    """The page without blocks of code and the table that is made by a program, on one line."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    text = re.sub(r"<!-- measured: begin -->.*<!-- measured: end -->", "", text, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", " ", text)


def code_lines(page):
    """The lines of the blocks of code, without comments."""
    text = page.read_text(encoding="utf-8")
    lines = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    return [re.sub(r"(^|\s+)#.*", "", line) for line in lines]


def commands(page):
    """Every call of paddle-resnet or of a script in tools/, as a list of arguments."""
    lines = [
        line.rstrip("\\").strip()
        for kind, block in _FENCE.findall(page.read_text(encoding="utf-8"))
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
        if kind == "bash"
    ]
    lines += re.findall(r"`([^`]+)`", prose(page))
    found = []
    for line in lines:
        called = re.search(r"(?:^|&& |\s|/)(?:paddle-resnet|python tools/(\w+)\.py)( .*)?$", line)
        if called and not line.startswith("pip"):
            try:
                words = shlex.split(called[2] or "", comments=True)
            except ValueError:  # prose between two names
                continue
            found.append(([called[1]] if called[1] else []) + words)
    return [arguments for arguments in found if arguments and "..." not in arguments]


@pages
def test_links_lead_to_files(page):
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = (page.parent / path) if path else page
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in slugs, target


@pages
def test_commands_are_accepted_by_their_parsers(page):
    for arguments in commands(page):
        command, *rest = arguments
        if command == "--help" or command == "COMMAND":
            continue
        if command in SCRIPTS:
            SCRIPTS[command]().parse_args(rest)
            continue
        assert command in COMMANDS, arguments
        if rest in (["--help"], []):
            continue
        parser = argparse.ArgumentParser(exit_on_error=False)
        subparsers = parser.add_subparsers()
        importlib.import_module(f"paddle_resnet.commands.{command}").add_parser(subparsers)
        try:
            parsed = parser.parse_args(arguments)
        except SystemExit:
            pytest.fail(f"paddle-resnet {shlex.join(arguments)} is not accepted")
        if command == "train" and parsed.config != "RECIPE":
            load_config(parsed.config, tuple(parsed.override))


def test_the_check_of_commands_sees_the_commands():
    found = Counter(arguments[0] for arguments in commands(ROOT / "README.md"))
    assert set(found) >= {"train", "evaluate", "predict", "study", "export", "serve", "data"}


@pairs
def test_both_languages_have_the_same_headings_code_names_and_numbers(english, chinese):
    """All but the comments in code, and the language that is asked for."""
    for find in (
        lambda page: re.findall(r"^#+(?= )", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE),
        code_lines,
        lambda page: re.findall(r"`[^`]+`", prose(page).replace("-L zh", "-L en")),
        lambda page: re.findall(r"\d+(?:[.,]\d+)*", prose(page)),
    ):
        assert Counter(find(english)) == Counter(find(chinese))


def test_the_readmes_link_each_other_on_top():
    for page, other in (("README.md", "README_cn.md"), ("README_cn.md", "README.md")):
        top = (ROOT / page).read_text(encoding="utf-8").splitlines()[:4]
        assert any(f"]({other})" in line for line in top)


def test_every_page_of_docs_is_in_the_sites_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in (ROOT / "docs").rglob("*.md"):
        assert f" {path.relative_to(ROOT / 'docs').as_posix()}\n" in navigation
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        name, _, language = path.stem.partition(".")
        assert f"- {'zh/' if language == 'zh' else ''}lessons/{name}.md\n" in navigation
