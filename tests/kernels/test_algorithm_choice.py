"""Each candidate of a convolution computes the same; the fastest is chosen, kept and repeated."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest
import test_bfloat16
import test_conv_bn_act
from test_conv_bn_act import CONVOLUTIONS, inputs_with_clear_winners

from paddle_resnet import kernels
from paddle_resnet.cpu_runtime import RUNTIME
from paddle_resnet.errors import UserError
from paddle_resnet.kernels import algorithm_choice
from paddle_resnet.kernels.algorithm_choice import forced, notes_from
from paddle_resnet.layers.pooling import MaxPool2D

ROOT = Path(__file__).parents[2]
ALGORITHMS = ("direct", "winograd", "gemm")
#: (batch, channels in, out, height, width); the second has tiles at the edge.
SHAPES = [(2, 32, 48, 8, 8), (3, 16, 32, 9, 7)]
#: What one training step of the unit below chooses.
UNIT = (2, 32, 32, 8, 8)


@pytest.fixture
def choices(operator, tmp_path):
    """An empty file of choices in place of the machine's."""
    file = tmp_path / "choices.txt"
    operator.paddle_resnet_choice_file(os.fsencode(file))
    operator.paddle_resnet_begin_notes()
    yield file
    kept = algorithm_choice.choices_file(Path(operator._name).name)
    operator.paddle_resnet_choice_file(os.fsencode(kept))
    operator.paddle_resnet_begin_notes()


def step(shape=UNIT, convolution=CONVOLUTIONS[2]):
    """Do a training step of one bfloat16 unit and return all that it computes."""
    unit = test_bfloat16.make(convolution, shape, "relu")
    return test_bfloat16.run(unit, *test_bfloat16.draw(unit, shape, False))


def algorithms(text):
    """Return the chosen algorithm by the rest of the line."""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    return {tuple(rest): algorithm for algorithm, *rest in lines}


def swapped(text):
    """Return the choices with another algorithm in each line."""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    other = {"direct": "winograd", "winograd": "direct", "gemm": "direct"}
    return "".join(f"{other[first]} {' '.join(rest)}\n" for first, *rest in lines)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_each_candidate_agrees_in_bfloat16(
    operator, algorithm, convolution, shape, residual, training
):
    unit = test_bfloat16.make(convolution, shape, "relu")
    unit.train() if training else unit.eval()
    with forced(operator, algorithm):
        ours = test_bfloat16.check(unit, shape, residual)
        again = test_bfloat16.run(unit, *test_bfloat16.draw(unit, shape, residual))
    for name, array in again.items():
        np.testing.assert_array_equal(array, ours[name])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("residual", [False, True])
def test_each_candidate_agrees_in_float32(operator, algorithm, convolution, shape, residual):
    unit = test_conv_bn_act.make(convolution, shape, "relu")
    given = test_conv_bn_act.inputs(unit, shape, residual)
    plain = test_conv_bn_act.run("off", unit, *given)
    with forced(operator, algorithm):
        test_conv_bn_act.assert_close(test_conv_bn_act.run("require", unit, *given), plain)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("bfloat16", [True, False])
def test_each_candidate_agrees_in_inference(operator, algorithm, residual, bfloat16):
    shape = (2, 32, 48, 8, 8)
    unit = test_bfloat16.make(CONVOLUTIONS[2], shape, "relu")
    unit.eval()
    x, extra, _ = test_bfloat16.draw(unit, shape, residual)
    given = [t for t in test_bfloat16.tensors(x, extra) if t is not None]
    with paddle.no_grad():
        with kernels.use("off"):
            plain = unit(*given).numpy()
        with kernels.use("require"), forced(operator, algorithm):
            dtype = "bfloat16" if bfloat16 else "float32"
            ours = unit(*[test_bfloat16.cast(t, dtype) for t in given])
            ours = test_bfloat16.cast(ours, "float32").numpy()
    limit = test_bfloat16.BOUNDS["y"] * test_bfloat16.U if bfloat16 else 1e-4
    assert np.linalg.norm(ours - plain) <= limit * np.linalg.norm(plain)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("shape", [(2, 32, 32, 8, 8), (2, 32, 48, 6, 10)])
def test_each_candidate_agrees_with_max_pooling(operator, algorithm, shape):
    unit = test_conv_bn_act.make(CONVOLUTIONS[2], shape, "relu", max_pool=True)
    given = inputs_with_clear_winners(unit, shape, True)
    plain = test_conv_bn_act.run("off", unit, *given)
    with forced(operator, algorithm):
        test_conv_bn_act.assert_close(test_conv_bn_act.run("require", unit, *given), plain)
        if algorithm != "winograd":
            unit = test_bfloat16.make(CONVOLUTIONS[2], shape, "relu")
            unit.pool = MaxPool2D(2)
            test_bfloat16.check(unit, shape, True)
            return
        # It pools before anything is rounded to bfloat16: the maxima are those of float32.
        x, extra = (test_bfloat16.rounded(array) for array in given)
        gradient = np.random.default_rng(1).standard_normal(extra.shape)
        given = x, extra, test_bfloat16.rounded(gradient)
        test_bfloat16.check(unit, shape, True, given, mode="require")


@pytest.mark.parametrize("planted", [0, 1, 2])
def test_a_slow_candidate_is_never_chosen(operator, planted):
    calls = [0, 0, 0]

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def run(candidate):
        calls[candidate] += 1
        end = time.thread_time() + (0.004 if candidate == planted else 0.001)
        while time.thread_time() < end:
            pass

    operator.paddle_resnet_fastest.argtypes = [ctypes.c_int, type(run)]
    for _ in range(3):
        assert operator.paddle_resnet_fastest(3, run) != planted
    assert min(calls) >= 3 * 2
    assert calls[planted] < min(calls[:planted] + calls[planted + 1 :])


def test_a_choice_is_measured_once_and_kept(operator, choices):
    first = step()
    kept = choices.read_text()
    assert {key[0] for key in algorithms(kept)} == {"forward", "data", "weights"}
    assert all(" ms" in line for line in kept.splitlines())
    assert algorithms(operator.paddle_resnet_notes().decode()) == algorithms(kept)
    # What the file holds is taken as it is, by a process that has chosen nothing yet too.
    choices.write_text(swapped(kept))
    for _ in range(2):
        operator.paddle_resnet_choice_file(os.fsencode(choices))
        operator.paddle_resnet_begin_notes()
        second = step()
        used = operator.paddle_resnet_notes().decode()
        assert algorithms(used) == algorithms(swapped(kept))
        assert choices.read_text() == swapped(kept)
    assert any((first[name] != second[name]).any() for name in first)
    for name, array in step().items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\xff\xfe" * 100,
        b"winograd forward\n" * 3,
        b"quickest forward 2 32 8 8 32 3 3 1 1 1 1 bfloat16 1\n",
        b"gemm forward 2 32 8 8 32 3 3 1 1 1 1 bfloat16 1\n",
        b"direct forward 2 32 8 8 32 3 3 0 1 1 1 bfloat16 1\n",
        b"direct forward 2 32 8 99999999999999999999 32 3 3 1 1 1 1 bfloat16 1\n",
    ],
)
def test_a_corrupt_file_is_measured_anew(operator, choices, content):
    threads = b" %d\n" % RUNTIME.threads
    choices.write_bytes(content.replace(b" 1\n", threads))
    operator.paddle_resnet_choice_file(os.fsencode(choices))
    step()
    assert len([key for key in algorithms(choices.read_text()) if len(key) == 14]) == 3


def test_where_nothing_can_be_written_choices_last_for_the_process(operator, choices, tmp_path):
    operator.paddle_resnet_choice_file(os.fsencode(tmp_path / "no folder" / "choices.txt"))
    first = step()
    for name, array in step().items():
        np.testing.assert_array_equal(array, first[name])
    assert len(algorithms(operator.paddle_resnet_notes().decode())) == 3
    assert not (tmp_path / "no folder").exists()


def test_a_forced_algorithm_is_not_kept(operator, choices):
    with forced(operator, "winograd"):
        step()
        assert set(algorithms(operator.paddle_resnet_notes().decode()).values()) == {"winograd"}
    with forced(operator, "direct"):
        step()
        assert set(algorithms(operator.paddle_resnet_notes().decode()).values()) == {"direct"}
    assert not choices.exists()


def test_the_variable_names_an_algorithm(monkeypatch):
    monkeypatch.setenv(algorithm_choice.VARIABLE, " Winograd ")
    assert algorithm_choice.wanted_algorithm() == "winograd"
    monkeypatch.setenv(algorithm_choice.VARIABLE, "winigrad")
    with pytest.raises(UserError, match="Did you mean 'winograd'"):
        algorithm_choice.wanted_algorithm()


@pytest.mark.usefixtures("warm_children")
def test_the_variable_is_read_when_the_operator_is_loaded(tmp_path):
    script = (
        "import sys; sys.path.insert(0, 'tests/kernels'); sys.path.insert(0, 'tests')\n"
        "from test_algorithm_choice import step\n"
        "from paddle_resnet.kernels import build\n"
        "step(); print(build.library().paddle_resnet_notes().decode())"
    )
    environment = {**os.environ, algorithm_choice.VARIABLE: "winograd", "PYTHONPATH": str(ROOT)}
    environment["PADDLE_RESNET_KERNELS"] = "require"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(algorithms(done.stdout.strip()).values()) == {"winograd"}


def test_a_run_takes_its_notes_again(operator, choices):
    first = step()
    notes = operator.paddle_resnet_notes().decode()
    other = swapped(notes)
    assert notes_from(operator, other) == (0, 3)  # this machine's file has all three otherwise
    second = step()
    assert algorithms(operator.paddle_resnet_notes().decode()) == algorithms(other)
    assert any((first[name] != second[name]).any() for name in first)
    assert algorithms(choices.read_text()) == algorithms(notes)  # which stays as it was
    operator.paddle_resnet_begin_notes()
    for name, array in step().items():
        np.testing.assert_array_equal(array, first[name])
    with forced(operator, "direct"):
        changed = sum(algorithm != "direct" for algorithm in algorithms(notes).values())
        assert notes_from(operator, notes) == (changed, 0)
    assert notes_from(operator, "corrupt\n") == (0, 0)


def test_a_pooled_unit_by_two_passes_has_the_same_argmax(operator, choices):
    """The gradient follows the choice of the forward pass, in both cases."""
    shape = (2, 32, 32, 8, 8)
    unit = test_conv_bn_act.make(CONVOLUTIONS[2], shape, "relu", max_pool=True)
    given = inputs_with_clear_winners(unit, shape, False)
    plain = test_conv_bn_act.run("off", unit, *given)
    for algorithm in ALGORITHMS:
        with forced(operator, algorithm):
            ours = test_conv_bn_act.run("require", unit, *given)
        test_conv_bn_act.assert_close(ours, plain)
