"""Faults of `paddle.Model` in two processes, and ours beside it: real processes, started once each.

The rows about processes of docs/paddle_model.md; see test_paddle_model_faults.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import process_faults
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "paddle_model.md"
BOTH = pytest.mark.parametrize("base", ["Model", "ImageClassifier"])
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each class's two processes have seen, by its name."""
    out = tmp_path_factory.mktemp("processes")
    found = {}
    for base in ("Model", "ImageClassifier"):
        launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
        launch += ["--log_dir", str(out / f"log-{base}"), process_faults.__file__, base, str(out)]
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PADDLE_T")}
        done = subprocess.run(
            launch,
            env={**variables, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
            cwd=out,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found[base] = [json.loads((out / f"{base}-{rank}.json").read_text()) for rank in (0, 1)]
        # What is right in both: one process prints and writes.
        assert [each["prints"] for each in found[base]] == [True, False]
        assert [path.name for path in (out / base).iterdir()] == ["by-0"]
        np.testing.assert_array_equal(*(each["weights"] for each in found[base]))
    return found


@BOTH
def test_loss_is_one_processes(told, base):
    """Losses are of the process's own last batch: callbacks that watch them decide differently."""
    first, second = told[base]
    assert (first["evaluate"]["loss"] == second["evaluate"]["loss"]) == (base != "Model")
    assert (first["train"]["loss"] == second["train"]["loss"]) == (base != "Model")
    right = [
        each["evaluate"]["loss"] == pytest.approx(each["expected"]["loss"], rel=1e-5)
        for each in (first, second)
    ]
    assert right == [base != "Model"] * 2
    # Accuracy is gathered and cut in the base class too: each sample counts once.
    assert first["evaluate"]["acc"] == second["evaluate"]["acc"] == first["expected"]["acc"]


@BOTH
def test_predictions_are_one_processes(told, base):
    """Each process has the outputs of its own samples, on CPUs, and of a repeated one."""
    for each in told[base]:
        if base == "Model":
            assert (each["predicted"], each["as one process"]) == (6, False)
        else:
            assert (each["predicted"], each["as one process"]) == (process_faults.SAMPLES, True)
            assert each["batches"] == [4, 4, 3]
            assert each["of a loader"] == process_faults.SAMPLES
            # A subclass's loss of 0 in the one process and of 1 in the other: the mean.
            assert each["own loss"] == pytest.approx(0.5)


@BOTH
def test_running_statistics_drift_apart(told, base):
    """Each process keeps those of its own samples; what is saved are the first one's."""
    first, second = (each["statistics"] for each in told[base])
    assert (first == second) == (base != "Model")


def test_the_page_lists_these_tests():
    page = PAGE.read_text(encoding="utf-8")
    for name, test in globals().items():
        if name.startswith("test_") and name != "test_the_page_lists_these_tests":
            assert f"| `{name}` |" in page, test.__doc__
