"""Where the operator cannot be built, plain Paddle computes and one line says so."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from paddle_resnet import activation_dtype, kernels
from paddle_resnet.cli import main
from paddle_resnet.errors import UserError
from paddle_resnet.io import trusted_path
from paddle_resnet.kernels import build, compiler
from paddle_resnet.layers.activation_dtype import is_float32

SCRIPT = """
import paddle_resnet
paddle_resnet.cpu_runtime.import_paddle()
import paddle
from paddle_resnet import ConvBNLayer
unit = ConvBNLayer(3, 8, 3)
for _ in range(2):
    print(unit(paddle.ones([1, 3, 4, 4])).shape)
"""


pytestmark = pytest.mark.usefixtures("warm_children")


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
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["build.lock"]


def test_require_makes_it_an_error(tmp_path):
    process = run(tmp_path, PADDLE_RESNET_KERNELS="require", PATH=str(tmp_path), CXX="")
    _, err = process.communicate()
    assert process.returncode != 0
    assert "PADDLE_RESNET_KERNELS=require, but there is no C++ compiler" in err


@pytest.mark.slow  # builds
def test_of_two_processes_at_once_one_builds(tmp_path):
    processes = [run(tmp_path, PADDLE_RESNET_KERNELS="require") for _ in range(2)]
    said = ""
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
        said += err
    names = sorted(path.name for path in (tmp_path / "kernels").iterdir())
    assert (names[0], len(names)) == ("build.lock", 2)
    assert names[1].startswith("conv_bn-")
    assert said.count("building the CPU operator") == 1


@pytest.mark.slow  # builds
def test_the_compiler_has_nothing_to_say(tmp_path):
    assert compiler.compile_library(tmp_path, "conv_bn.so") == ""


def test_no_more_compilers_at_once_than_cores(tmp_path, monkeypatch):
    log, script = tmp_path / "log", tmp_path / "compiler"
    script.write_text(f"#!/bin/sh\necho +1 >> {log}\nsleep 0.05\necho -1 >> {log}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    assert compiler.compile_library(tmp_path, "conv_bn.so") == ""
    steps = [int(line) for line in log.read_text().split()]
    assert steps.count(1) == len(compiler.SOURCES) + 1
    assert 1 <= max(itertools.accumulate(steps)) <= len(os.sched_getaffinity(0))


def test_where_one_source_fails_the_others_are_not_begun(tmp_path, monkeypatch):
    log, script = tmp_path / "log", tmp_path / "compiler"
    script.write_text(
        f"#!/bin/sh\necho 1 >> {log}\nsleep 0.05\necho 'x.cc: error: no' >&2\nexit 1\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(UserError, match=r"does not compile here: x\.cc: error: no"):
        compiler.compile_library(tmp_path, "conv_bn.so")
    assert len(log.read_text().split()) <= 2 * len(os.sched_getaffinity(0))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder of the test's own that holds the library."""
    there = build.build()
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "cache" / "kernels" / there.name
    path.parent.mkdir(parents=True)
    shutil.copy(there, path)
    path.chmod(0o755)
    path.parent.chmod(0o755)
    return path


def test_a_library_of_ones_own_is_loaded(own_cache):
    assert build.build() == own_cache


@pytest.mark.parametrize("whose", ["file", "folder"])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_library_that_others_can_write_is_not_loaded(own_cache, whose, mode):
    path = own_cache if whose == "file" else own_cache.parent
    path.chmod(mode)
    with pytest.raises(UserError, match=rf"{path} can be written by others \(mode 0{mode:o}\)"):
        build.build()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("whose", ["file", "folder", "link"])
def test_a_library_of_somebody_elses_is_not_loaded(own_cache, whose):
    path = own_cache if whose != "folder" else own_cache.parent
    if whose == "link":
        own_cache.rename(own_cache.with_suffix(".real"))
        own_cache.symlink_to(own_cache.with_suffix(".real"))
    os.chown(path, 12345, -1, follow_symlinks=False)
    with pytest.raises(UserError, match=rf"{path} belongs to another user \(id 12345\)"):
        build.build()


def test_a_planted_library_is_left_alone_in_a_sentence(tmp_path):
    """As in the temporary folder, which is the cache's place for a user without a home."""
    planted = tmp_path / "kernels" / build.build().name
    planted.parent.mkdir()
    planted.write_bytes(b"planted")
    planted.parent.chmod(0o777)
    process = run(tmp_path, PADDLE_RESNET_KERNELS="auto")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("[1, 8, 4, 4]") == 2
    assert err.count("can be written by others (mode 0777) and is not loaded") == 1


def test_the_folder_of_a_new_library_is_closed_to_others(tmp_path):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    trusted_path.make_trusted_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert trusted_path.why_untrusted(folder) == ""


def test_threads_that_leave_crosswise_keep_their_own_modes(monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", "auto")
    entered, left = threading.Event(), threading.Event()
    found = []

    def other():
        with kernels.use("off"), activation_dtype("bfloat16"):
            entered.set()
            left.wait(10)
            found.append((kernels.mode(), is_float32()))
        found.append((kernels.mode(), is_float32()))

    thread = threading.Thread(target=other)
    with kernels.use("require"):
        thread.start()
        entered.wait(10)
        found.append((kernels.mode(), is_float32()))
    found.append((kernels.mode(), is_float32()))
    left.set()
    thread.join()
    assert found == [("require", True), ("auto", True), ("off", False), ("auto", True)]
    assert (kernels.mode(), is_float32()) == ("auto", True)


@pytest.mark.parametrize("wanted", ["requir", "on", " "])
def test_the_block_of_an_unknown_mode_leaves_the_one_before(wanted):
    with kernels.use("off"):
        with (
            pytest.raises(UserError, match="expected one of auto, off, require"),
            kernels.use(wanted),
        ):
            pass
        assert kernels.mode() == "off"


COMPILED = """
import json
import paddle_resnet
paddle_resnet.cpu_runtime.import_paddle()
import paddle
from paddle_resnet import ConvBNLayer
paddle.seed(0)
unit = ConvBNLayer(3, 8, 3, act="relu")
x, found = paddle.randn([2, 3, 6, 5]), []
for layer in (paddle.jit.to_static(unit), unit):
    given = x.detach()
    given.stop_gradient = False
    y = layer(given)
    found.append([value.tolist() for value in (y, *paddle.grad((y**2).sum(), given))])
print(json.dumps(found))
"""


def test_to_static_can_be_what_loads_the_library_and_gives_gradients():
    """Paddle 2.6's compiler of byte code looks into all that runs, and fails at pathlib.

    In a process of its own also because that compiler looks through every module that is loaded.
    """
    environment = {**os.environ, "PADDLE_RESNET_KERNELS": "require"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (y, slope), (expected, slope_expected) = json.loads(done.stdout.splitlines()[-1])
    assert np.shape(y) == (2, 8, 6, 5)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-3)
    assert np.abs(slope_expected).max() > 0
    np.testing.assert_allclose(slope, slope_expected, rtol=1e-3, atol=1e-3)


def test_the_command_builds_and_says_where(tmp_path, capsys):
    assert main(["build"]) == 0
    assert str(build.build()) in capsys.readouterr().out


def test_the_command_without_a_compiler(own_cache, monkeypatch, capsys):
    before = own_cache.read_bytes()
    monkeypatch.setenv("CXX", "false")
    assert main(["build", "--force"]) == 2
    assert "does not compile here" in capsys.readouterr().err
    assert own_cache.read_bytes() == before


@pytest.mark.parametrize("command", ["train", "build"])
def test_an_unknown_mode_through_the_commands(command, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", "foo")
    options = ["-o", f"run.dir={tmp_path}", "-o", "data.root=sample"] if command == "train" else []
    assert main([command, *options]) == 2
    error = capsys.readouterr().err
    assert "PADDLE_RESNET_KERNELS is 'foo', expected one of auto, off, require" in error
    assert "cannot take images" not in error
    assert not list(tmp_path.iterdir())


def test_an_unknown_mode_is_an_error(monkeypatch):
    monkeypatch.setenv("PADDLE_RESNET_KERNELS", "requir")
    with pytest.raises(UserError, match="Did you mean 'require'"):
        kernels.mode()
