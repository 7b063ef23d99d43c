"""The first table of RESULTS.md against the files of the runs that it names."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from paddle_resnet.config import load_config
from paddle_resnet.models import count, create_model

ROOT = Path(__file__).parents[1]
SECTION = (ROOT / "RESULTS.md").read_text("utf-8").split("\n## ")[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in SECTION.splitlines()
    if line.startswith("| ") and "history](" in line
]


def number(text):
    return int(text.replace(",", ""))


def minutes(text):
    found = re.fullmatch(r"(?:(\d+) h ?)?(?:(\d+) min ?)?(?:(\d+) s)?", text)
    hours, mins, seconds = (int(part or 0) for part in found.groups())
    return hours * 60 + mins + seconds / 60


def runs_of(folder):
    """Return result and environment of a run, or of each of its seeds."""
    folders = sorted(folder.glob("seed-*")) or [folder]
    files = ("result.json", "environment.json")
    return [tuple(json.loads((f / name).read_text()) for name in files) for f in folders]


def test_there_are_rows_and_their_columns_are_the_known_ones():
    header = next(line for line in SECTION.splitlines() if line.startswith("| network"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "network", "parameters", "MACs", "test accuracy", "images seen", "time", "cores", "CPU",
        "recipe", "seeds", "weights and history",
    ]  # fmt: skip
    assert len(ROWS) >= 6


@pytest.mark.parametrize("row", ROWS, ids=[re.search(r"results/([\w.-]+)", r[-1])[1] for r in ROWS])
def test_a_row_is_what_its_run_says(row):
    _, parameters, macs, accuracy, seen, time, cores, cpu, recipe, seeds, history = row
    folder = ROOT / re.search(r"\]\((results/[^)]+)\)", history)[1]
    runs = runs_of(folder)
    results = [result for result, _ in runs]
    # What it is: the network that the run names, built anew.
    model = results[0]["model"]
    network = create_model(model["name"], **model["options"])
    counted = count(network, (3, 32, 32))
    assert number(parameters) == counted.total("parameters") >= model["parameters"]
    assert macs == f"{counted.total('macs') / 1e9:.2f} G"
    # What came of it.
    reached = np.array([result["test"]["acc_top1"] for result in results]) * 100
    images = {result["test"]["images"] for result in results}
    figure = re.match(r"([\d.]+) %(?: ± ([\d.]+) %)?(?: \(([\d,]+) images\))?", accuracy)
    assert figure[1] == f"{reached.mean():.2f}"
    assert figure[2] == (f"{reached.std(ddof=1):.2f}" if len(runs) > 1 else None)
    assert images == {number(figure[3] or "10,000")}
    assert {number(seen)} == {result["training"]["images"] for result in results}
    took = [result["training"]["seconds"] / 60 for result in results]
    low, _, high = time.rpartition(" to ")
    assert minutes(f"{low} min" if low else high) == pytest.approx(min(took), abs=1)
    assert minutes(high) == pytest.approx(max(took), abs=1)
    # On what, by what.
    environments = [environment for _, environment in runs]
    assert {number(cores)} == {environment["threads"] for environment in environments}
    names = {"Xeon": "Intel(R) Xeon", "EPYC": "AMD EPYC"}
    assert all(environment["cpu"].startswith(names[cpu]) for environment in environments)
    assert seeds == ", ".join(str(k) for k in range(len(runs)))
    file = ROOT / re.search(r"\]\((configs/[^)]+)\)", recipe)[1]
    assert (
        load_config(file.stem, tuple(re.findall(r"`(\S+=\S+)`", recipe))).model.name
        == model["name"]
    )


def test_shipped_weights_have_a_row():
    named = re.findall(r"in the package: `(\w+)`", SECTION)
    shipped = (ROOT / "paddle_resnet/weights/cifar10").glob("*.safetensors")
    assert sorted(set(named)) == sorted(file.stem for file in shipped)
