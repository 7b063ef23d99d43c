"""What an installation brings: the bounds of setup.py, and the GPU extra as a user installs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def distribution():
    """What setup.py hands to setuptools."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return setuptools.distutils.core.run_setup("setup.py", stop_after="init")


def test_no_python_is_shut_out_that_nothing_shuts_out(distribution):
    assert str(distribution.python_requires) == ">=3.9"


def test_every_dependency_has_a_lowest_version_and_none_a_highest(distribution):
    for requirement in distribution.install_requires:
        assert ">=" in requirement
        assert "<" not in requirement


def test_the_gpu_extra_brings_the_numpy_of_its_paddle(distribution):
    extras = distribution.extras_require
    # setuptools keeps what has a condition under a key of its own, `gpu:python_version < "3.13"`.
    gpu = [r for key, group in extras.items() if key.partition(":")[0] == "gpu" for r in group]
    assert any(r.startswith("paddlepaddle-gpu>=") for r in gpu)
    assert any(r.startswith("numpy<2") for r in gpu)
    assert not any(r.startswith("numpy") for r in extras["cpu"])


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="PyPI has no GPU build for it")
def test_the_gpu_extra_as_a_user_installs_it(tmp_path):
    """Some 760 MB and CUDA: pip chooses, and NumPy and Paddle are imported together."""
    python = tmp_path / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", f"{ROOT}[gpu]"], check=True)
    code = (
        "import numpy, paddle; assert numpy.__version__ < '2', numpy.__version__;"
        "print(paddle.__version__, numpy.asarray(paddle.ones([2])))"
    )
    done = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, env={**os.environ}, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
