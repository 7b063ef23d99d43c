"""Where the operator cannot be built, plain Paddle computes and one line says so."""

import os
import subprocess
import sys

import pytest

from paddle_resnet import kernels
from paddle_resnet.errors import UserError

SCRIPT = """
import paddle_resnet
paddle_resnet.cpu_runtime.import_paddle()
import paddle
from paddle_resnet import ConvBNLayer
unit = ConvBNLayer(3, 8, 3)
for _ in range(2):
    print(unit(paddle.ones([1, 3, 4, 4])).shape)
"""


def run(cache, **environment):
    environment = {**os.environ, "PADDLE_RESNET_CACHE": str(cache), **environment}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_off_builds_nothing(tmp_path):
    process = run(tmp_path, PADDLE_RESNET_KERNELS="off")
    _, err = process.communicate()
    assert process.returncode == 0
    assert "paddle_resnet:" not in err
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_plain_paddle_computes_and_says_so_once(tmp_path):
    process = run(tmp_path, PADDLE_RESNET_KERNELS="auto", PATH=str(tmp_path), CXX="")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("[1, 8, 4, 4]") == 2
    assert err.count("there is no C++ compiler") == 1


def test_a_compiler_that_fails_is_no_error(tmp_path):
    process = run(tmp_path, PADDLE_RESNET_KERNELS="auto", CXX="false")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("[1, 8, 4, 4]") == 2
    assert err.count("does not compile here") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_require_makes_it_an_error(tmp_path):
    process = run(tmp_path, PADDLE_RESNET_KERNELS="require", PATH=str(tmp_path), CXX="")
    _, err = process.communicate()
    assert process.returncode != 0
    assert "PADDLE_RESNET_KERNELS=require, but there is no C++ compiler" in err


@pytest.mark.slow  # builds twice
def test_two_processes_at_once_build_one_library(tmp_path):
    processes = [run(tmp_path, PADDLE_RESNET_KERNELS="require") for _ in range(2)]
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    (library,) = (tmp_path / "kernels").iterdir()
    assert library.name.startswith("conv_bn-")


def test_an_unknown_mode_is_an_error(monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", "requir")
    with pytest.raises(UserError, match="Did you mean 'require'"):
        kernels.mode()
