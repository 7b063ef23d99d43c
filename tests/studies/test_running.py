"""A study is run, interrupted, written and read again; on the bundled sample, in small networks."""

import dataclasses
import json
import math

import numpy as np
import paddle
import pytest

from paddle_resnet.cli import main
from paddle_resnet.errors import UserError
from paddle_resnet.io.atomic_files import atomic_write_json
from paddle_resnet.studies import load_result, telephone
from paddle_resnet.studies.context import Context
from paddle_resnet.studies.experiments import telephone as experiment

SMALL = {
    "depth": 20,
    "width": 4,
    "train_images": 100,
    "test_images": 50,
    "after": [0, 2],
    "settle_images": 20,
}
SET = [f"--set={k}={','.join(map(str, v)) if isinstance(v, list) else v}" for k, v in SMALL.items()]


@pytest.fixture(scope="module")
def result():
    return telephone(data="sample", lang="en", seeds=2, **SMALL)


def interrupted_after(steps, monkeypatch):
    """Press Ctrl-C when the study begins its next step."""
    step, left = Context.step, [steps]

    def counting(self, label):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        step(self, label)

    monkeypatch.setattr(Context, "step", counting)


def test_the_envelope_says_what_was_run(result):
    found = result.to_dict()
    assert found["study"] == "telephone"
    assert found["seeds"] == [0, 1]
    assert found["settings"]["depth"] == 20
    assert found["settings"]["penalty"] == experiment.SETTINGS["penalty"]
    assert found["data"]["is_sample"] is True
    assert found["data"]["images"] == {"train": 100, "test": 50}
    assert found["data"]["size"] == 16
    assert found["data"]["sizes"] == [16]
    assert found["machine"]["paddle"] == paddle.__version__
    assert found["seconds"]["cpu"] > 0
    assert set(found["results"]["accuracy"]) == set(experiment.NETWORKS)
    assert found["results"]["after"] == [0, 2, 3]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_sample_gives_no_verdict(result):
    assert result.verdict.holds is None
    assert result.verdict.sentence.startswith("Not judged")
    assert result.reference == []
    assert result.to_dict()["verdict"]["holds"] is None


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_generator_alone(result):
    paddle.seed(7)
    wanted = paddle.rand([3]).numpy()
    paddle.seed(7)
    again = telephone(data="sample", seeds=[1, 0], **SMALL)
    assert np.array_equal(paddle.rand([3]).numpy(), wanted)
    for name, row in result.results["accuracy"].items():
        for n, values in row.items():
            assert again.results["accuracy"][name][n] == values[::-1]


def test_json_is_read_back_as_it_was(result, tmp_path):
    path = result.save_json(tmp_path / "t.json")
    again = load_result(path)
    assert again.to_dict() == result.to_dict()
    assert again.table.texts() == result.table.texts()


def test_non_finite_values_survive_json(result, tmp_path):
    facts = {**result.facts, "results": {**result.results, "odd": [math.nan, math.inf, -math.inf]}}
    path = dataclasses.replace(result, facts=facts).save_json(tmp_path / "t.json")
    assert json.loads(path.read_text())["results"]["odd"] == ["NaN", "Infinity", "-Infinity"]
    odd = load_result(path).results["odd"]
    assert math.isnan(odd[0])
    assert odd[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "no result of a study"),
        ('{"study": "telephone"}', "no version"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UserError, match=words):
        load_result(path)


def test_an_older_version_is_refused(result, tmp_path):
    atomic_write_json(tmp_path / "t.json", {**result.to_dict(), "version": 0})
    with pytest.raises(UserError, match=r"version 0.*run it again"):
        load_result(tmp_path / "t.json")


def test_an_interruption_keeps_what_is_there(monkeypatch, tmp_path):
    interrupted_after(2, monkeypatch)
    result = telephone(data="sample", lang="en", **SMALL)
    assert list(result.results["accuracy"]) == list(experiment.NETWORKS)[:2]
    assert result.verdict.holds is None
    assert "interrupted" in result.verdict.sentence
    page = result.save_html(tmp_path / "t.html").read_text(encoding="utf-8")
    assert "This run was interrupted" in page
    assert len(result.table.rows) == 2


def test_an_interruption_at_the_start_leaves_a_page_without_figure(monkeypatch, tmp_path):
    interrupted_after(0, monkeypatch)
    result = telephone(data="sample", **SMALL)
    assert result.table.rows == []
    result.save_html(tmp_path / "t.html")
    result._repr_html_()


def test_ctrl_c_ends_the_command_with_130_and_written_files(monkeypatch, tmp_path, capsys):
    interrupted_after(1, monkeypatch)
    path = tmp_path / "t.json"
    assert main(["study", "telephone", "--data", "sample", "--json", str(path), *SET]) == 130
    assert len(json.loads(path.read_text())["results"]["accuracy"]) == 1


def test_a_time_limit_ends_a_study(tmp_path):
    result = telephone(data="sample", max_seconds=1e-9, **SMALL)
    assert result.facts["interrupted"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 0}, "number of seeds is 0"),
        ({"seeds": [0, -1]}, "whole numbers from 0 up"),
        ({"seeds": []}, "whole numbers"),
        ({"model": "resnet20"}, "takes no other one"),
        ({"deep": 20}, r"no setting 'deep'.*Did you mean 'depth'"),
        ({"depth": "many"}, "expected something like 110"),
        ({"depth": True}, "expected something like 110"),
        ({"after": 3}, r"expected something like \[0"),
        ({"max_seconds": 0}, "more than 0"),
        ({"lang": "fr"}, "'fr'"),
        ({"data": "sample", "depth": 21}, "6n \\+ 2 layers, not 21; nearest is 20"),
        ({"data": "sample", "size": 24}, "32 or 16 pixels"),
        ({"data": "sample", "train_images": 64}, "multiple of 10"),
        ({"data": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_bad_options_are_sentences(options, words):
    with pytest.raises(UserError, match=words):
        telephone(**options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["telefone"], "Did you mean 'telephone'?"),
        (["telephone", "--set", "depth"], "expected KEY=VALUE"),
        (["telephone", "--set", "dept=20"], "Did you mean 'depth'?"),
        (["telephone", "--max-time", "soon"], "--max-time is 'soon'"),
        (["telephone", "--json", "/nowhere/t.json"], "cannot be written"),
        (["telephone", "--lang", "fr"], "expected en or zh"),
        (["signal", "telephone", "--model", "resnet20"], "takes no other one"),
        (["signal", "lesion", "--seeds", "2"], "'lesion' draws no weights at random"),
        (["degradation", "--set", "epochs=0"], "'epochs' of the study 'degradation' is 0"),
        (["lesion", "--set", "batch=0"], "expected 1 or more"),
        (["degradation", "--set", "learning_rate=-1"], "is -1.0, expected 0 or more"),
    ],
)
def test_bad_command_lines_exit_with_2(arguments, words, capsys):
    assert main(["study", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_file_where_a_gallery_should_be(tmp_path, capsys):
    path = tmp_path / "x.html"
    path.write_text("mine")
    assert main(["study", "signal", "telephone", "--html", str(path)]) == 2
    assert path.read_text() == "mine"


def test_too_little_memory_is_a_sentence(monkeypatch):
    def measure(context):
        raise MemoryError

    monkeypatch.setattr(experiment, "measure", measure)
    with pytest.raises(UserError, match=r"memory of .* GiB is too small.*depth=110"):
        telephone(data="sample")


def test_command_writes_verdict_json_and_gallery(tmp_path, capsys):
    json_file, folder = tmp_path / "r.json", tmp_path / "gallery"
    arguments = ["study", "telephone", "--data", "sample", "--lang", "zh", *SET]
    arguments += ["--json", str(json_file), "--html", f"{folder}/"]
    assert main(arguments) == 0
    assert "未作判定" in capsys.readouterr().out
    assert json.loads(json_file.read_text(encoding="utf-8"))["study"] == "telephone"
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert 'href="telephone.html"' in index
    assert '<html lang="zh-CN">' in (folder / "telephone.html").read_text(encoding="utf-8")


def test_list_in_chinese(capsys):
    assert main(["study", "--lang", "zh"]) == 0
    assert "传话" in capsys.readouterr().out
