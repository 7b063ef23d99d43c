import json

import numpy as np
import pytest
from run_fixture import write_rows

from paddle_resnet.errors import UserError
from paddle_resnet.runs.run_reader import read_run


def test_a_whole_run_has_nothing_to_note(trained):
    run = read_run(trained)
    assert run.notes == []
    assert len(run.history) == 8
    assert run.predictions.probabilities.shape == (400, 10)
    assert run.section("test")["images"] == 400
    assert run.section("no such part") == {}


def test_what_is_no_run_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for given in (tmp_path, tmp_path / "nothing", tmp_path / "notes.txt"):
        with pytest.raises(UserError) as error:
            read_run(given)
        assert f"'{given}'" in str(error.value)
        assert "expected the folder of a run" in str(error.value)


def test_a_damaged_result_alone_is_no_run(tmp_path):
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(UserError, match=r"is not a run, its result\.json is corrupt"):
        read_run(tmp_path)


def test_half_a_line_at_the_end_is_left_out_and_said(run_dir):
    with open(run_dir / "history.jsonl", "a") as file:
        file.write('{"epoch": 9, "epochs": 9.0, "lo')
    run = read_run(run_dir)
    assert len(run.history) == 8
    assert run.notes == ["1 line of history.jsonl could not be read and was left out."]


def test_rows_written_again_after_a_resume_replace_the_first_ones(run_dir):
    rows = [{"epochs": e, "loss": loss} for e, loss in ((1, 9), (2, 9), (3, 9), (2, 5), (3, 4))]
    write_rows(run_dir / "history.jsonl", rows)
    assert [(r["epochs"], r["loss"]) for r in read_run(run_dir).history] == [(1, 9), (2, 5), (3, 4)]


@pytest.mark.parametrize("name", ["result.json", "environment.json", "config.yaml"])
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\x00\xff: ["])
def test_damaged_files_are_noted(run_dir, name, content):
    (run_dir / name).write_text(content, encoding="latin-1")
    run = read_run(run_dir)
    assert run.result == {} or name != "result.json"
    assert all(name in note for note in run.notes)
    assert run.notes or not content


def test_json_deeper_than_python_goes(run_dir):
    (run_dir / "result.json").write_text('{"a":' * 100_000)
    assert read_run(run_dir).notes == [
        "result.json is corrupt: the run has not ended, or was killed."
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"labels": np.zeros(3, np.int64)},
        {"labels": np.full(400, 10)},
        {"labels": np.full(400, -1)},
        {"labels": np.zeros(400)},
        {"labels": np.array([{}] * 400, object)},
        {"probabilities": np.zeros((400, 0), np.float16)},
        {"probabilities": np.zeros(400, np.float16)},
    ],
)
def test_predictions_that_do_not_fit_are_left_out(run_dir, change):
    path = run_dir / "predictions.npz"
    np.savez(path, **{**_without(np.load(path), change), **change})
    run = read_run(run_dir)
    assert run.predictions is None
    assert "predictions.npz" in run.notes[0]


def test_a_torn_predictions_file_is_left_out(run_dir):
    path = run_dir / "predictions.npz"
    whole = path.read_bytes()
    for part in (b"", whole[:1000], whole[:-30], whole[:500] + b"\0" * 400 + whole[900:]):
        path.write_bytes(part)
        run = read_run(run_dir)
        assert run.predictions is None
        assert run.notes == [
            "predictions.npz is corrupt: no confusion matrix, calibration or mistakes."
        ]


def test_outputs_that_are_no_numbers_are_dropped_and_mistakes_follow_their_images(run_dir):
    path = run_dir / "predictions.npz"
    arrays = dict(np.load(path))
    first, second = arrays["mistakes"][:2]
    arrays["probabilities"][first] = np.nan
    np.savez(path, **arrays)
    run = read_run(run_dir)
    said = run.predictions
    assert len(said.labels) == 399
    assert len(said.mistakes) == len(arrays["mistakes"]) - 1 == len(said.mistake_images)
    assert said.labels[said.mistakes[0]] == arrays["labels"][second]
    assert np.array_equal(said.mistake_images[0], arrays["mistake_images"][1])
    assert "1 image the network's output is not a number" in run.notes[0]


def test_mistakes_without_pictures_leave_the_rest(run_dir):
    path = run_dir / "predictions.npz"
    for name, value in (("mistakes", np.array([400])), ("mistake_images", np.zeros((2, 2)))):
        arrays = {**dict(np.load(path)), name: value}
        np.savez(run_dir / "other.npz", **arrays)
        (run_dir / "other.npz").replace(path)
        run = read_run(run_dir)
        assert len(run.predictions.labels) == 400
        assert len(run.predictions.mistakes) == 0


def test_json_that_says_nan(run_dir):
    (run_dir / "history.jsonl").write_text('{"epochs": 1, "loss": NaN}\n')
    assert np.isnan(read_run(run_dir).history[0]["loss"])
    (run_dir / "result.json").write_text(json.dumps({"test": {"loss": float("nan")}}))
    assert np.isnan(read_run(run_dir).section("test")["loss"])


def _without(arrays, names):
    return {k: arrays[k] for k in arrays.files if k not in names}
