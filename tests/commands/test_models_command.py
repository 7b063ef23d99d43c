"""`paddle-resnet models`: the table of networks."""

import json

from paddle_resnet.cli import main
from paddle_resnet.models import list_models


def test_a_row_holds_the_counts(capsys):
    assert main(["models", "resnet5[06]"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = ["network", "parameters", "M", "MACs", "convs", "proj.", "FC", "input", "source"]
    assert lines[0].split() == heads
    assert lines[1].split()[:7] == ["resnet50", "25,557,032", "4,089.18", "49", "4", "1", "224"]
    assert lines[2].split()[:7] == ["resnet56", "853,018", "125.49", "55", "0", "1", "32"]
    assert "arXiv:1512.03385" in lines[1]
    assert lines[0].index("source") == lines[1].index("He et al.")


def test_no_match_comes_with_the_nearest(capsys):
    assert main(["models", "Resnet50"]) == 2
    expected = "error: no network matches 'Resnet50'. Did you mean 'resnet50'?"
    assert capsys.readouterr().err.strip() == expected


def test_names_alone_and_json(capsys):
    assert main(["models", "--names"]) == 0
    assert capsys.readouterr().out.split() == list_models()
    assert main(["models", "resnet18", "--json"]) == 0
    (info,) = json.loads(capsys.readouterr().out)
    assert (info["name"], info["parameters"]) == ("resnet18", 11_689_512)
