"""`benchmark formats`: every runtime has a row, with times of a network that answers."""

import json

import pytest

from paddle_resnet.cli import main

pytestmark = pytest.mark.usefixtures("onnx_extra")


def test_all_runtimes_are_in_the_table(capsys):
    line = ["benchmark", "formats", "resnet20", "--data", "sample", "--rounds", "1", "--json"]
    assert main(line) == 0
    metrics = json.loads(capsys.readouterr().out)
    names = " | ".join(row["name"] for row in metrics["rows"])
    for part in ("eager, float32", "without oneDNN", "oneDNN", "float32", "int8"):
        assert part in names
    for row in metrics["rows"]:
        assert set(row["cpu_ms"]) == set(row["wall_ms"]) == {"1", "16"}
        assert all(value > 0 for value in row["wall_ms"].values())


def test_a_name_without_weights_is_timed_with_random_ones(capsys, monkeypatch):
    from paddle_resnet.deploy import format_speed

    lines = []
    opened = format_speed._open("nin", lines.append)
    assert opened.trained.input_shape == [3, 32, 32]
    assert "random" in lines[0]


@pytest.mark.parametrize(
    "line", [["formats"], ["step", "resnet20"], ["formats", "resnet21"]], ids=" ".join
)
def test_wrong_choices(line, capsys):
    assert main(["benchmark", *line]) == 2
    assert capsys.readouterr().err.startswith("error: ")
