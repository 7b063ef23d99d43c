"""The lessons in notebooks/: each runs, equals its source, and agrees in both languages."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from paddle.io import Subset

import paddle_resnet

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("build_notebooks", ROOT / "notebooks/build.py")
build = sys.modules["build_notebooks"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

SOURCES = build.sources()
NAMES = [source.stem for source in SOURCES]
FILES = [(source, language) for source in SOURCES for language in build.LANGUAGES]
sources = pytest.mark.parametrize("source", SOURCES, ids=NAMES)
files = pytest.mark.parametrize(
    ("source", "language"), FILES, ids=[f"{source.stem}-{language}" for source, language in FILES]
)


def read(source, language):
    return json.loads(build.notebook_path(source, language).read_text(encoding="utf-8"))


def code_cells(made):
    return [cell for cell in made["cells"] if cell["cell_type"] == "code"]


def test_there_are_as_many_lessons_as_notebooks_of_each_language():
    found = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert found == {build.notebook_path(source, language).name for source, language in FILES}


@sources
def test_cheap_cells_run(source, monkeypatch, tmp_path):
    monkeypatch.setenv("PADDLE_RESNET_DATA", "sample")
    monkeypatch.chdir(tmp_path)
    fit = paddle_resnet.ImageClassifier.fit

    def fit_a_little(model, train, val, **arguments):
        return fit(model, Subset(train, range(50)), Subset(val, range(50)), **arguments)

    monkeypatch.setattr(paddle_resnet.ImageClassifier, "fit", fit_a_little)
    names = {"__name__": "lesson"}
    for cell in build.read_cells(source):
        if not cell.markdown and cell.language in (None, "en") and "slow" not in cell.tags:
            exec(compile(cell.text, f"{source.stem}: {cell.text[:40]}", "exec"), names)
    assert names["LANG"] == "en"


@files
def test_a_notebook_has_the_cells_of_its_source(source, language):
    made, stored = build.notebook(build.read_cells(source), language, {}), read(source, language)
    without_outputs = [{**cell, "outputs": []} for cell in code_cells(stored)]
    assert without_outputs == code_cells(made)
    assert [c["source"] for c in stored["cells"]] == [c["source"] for c in made["cells"]]


@files
def test_outputs_are_kept_and_none_is_an_error(source, language):
    for cell in code_cells(read(source, language)):
        text = "".join(cell["source"])
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert "error" not in kinds
        if "print(" in text:
            assert "stream" in kinds, text
        if "lang=LANG" in text.splitlines()[-1]:
            (shown,) = (o["data"]["text/html"] for o in cell["outputs"] if "data" in o)
            sentence = re.search(r"<b>(.*?)</b>", shown)[1]
            assert (re.search("[\u4e00-\u9fff]", sentence) is not None) == (language == "zh")


@files
def test_outputs_name_no_folder_of_the_machine_they_were_made_on(source, language):
    for cell in code_cells(read(source, language)):
        shown = json.dumps(cell["outputs"])
        shown = re.sub(r'"image/png": "[^"]*"|base64,[A-Za-z0-9+/=]*', "", shown)
        assert not re.search(r"(?<![\w.~])/(home|root|tmp|usr|work)/", shown)


@sources
def test_both_languages_have_the_same_headings_code_and_numbers(source):
    cells = [cell for cell in build.read_cells(source) if cell.language]
    english, chinese = cells[::2], cells[1::2]
    assert [c.language for c in cells] == ["en", "zh"] * (len(cells) // 2)
    for ours, theirs in zip(english, chinese):
        assert ours.markdown == theirs.markdown
        for pattern in (r"^#+(?= )", r"^```(?:.|\n)*?^```", r"`[^`\n]+`", r"\d+(?:[.,]\d+)*"):
            found = [
                sorted(re.findall(pattern, text.replace("docs/zh/", "docs/"), flags=re.MULTILINE))
                for text in (ours.text, theirs.text)
            ]
            assert found[0] == found[1], f"{pattern} in: {ours.text[:60]}"


def test_cells_of_code_hide_no_syntax_of_notebooks():
    for source in SOURCES:
        for cell in build.read_cells(source):
            if not cell.markdown:
                ast.parse(cell.text)


@pytest.mark.slow
@sources
def test_every_cell_runs_in_a_kernel(source):
    pytest.importorskip("nbclient", reason="needs nbclient and ipykernel: pip install -e '.[docs]'")
    pytest.importorskip(
        "ipykernel", reason="needs nbclient and ipykernel: pip install -e '.[docs]'"
    )
    cells = build.read_cells(source)
    outputs = build.run(cells, {"PADDLE_RESNET_DATA": "sample"})
    assert all(outputs[c.text] for c in cells if "slow" in c.tags)


def test_a_marker_that_starts_no_cell_is_refused(tmp_path):
    (tmp_path / "1_x.py").write_text("# %% [raw]\nx = 1\n")
    with pytest.raises(ValueError, match="starts no cell"):
        build.read_cells(tmp_path / "1_x.py")
