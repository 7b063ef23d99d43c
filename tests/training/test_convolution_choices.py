"""A run keeps its algorithms of convolutions when it is resumed, and says where that matters."""

import os
from pathlib import Path

import numpy as np
import pytest
from run_helpers import stopping_after

from paddle_resnet import kernels
from paddle_resnet.config import load_config
from paddle_resnet.kernels import algorithm_choice, build
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.training.callbacks.convolution_choices import ConvolutionChoices
from paddle_resnet.training.trainer import run
from paddle_resnet.weights import read_weights

RECIPE = (
    "model.name=resnet18", "model.options.widths=[16,16,32,32]", "data.name=cifar10",
    "data.root=sample", "data.max_train_images=32", "data.validation=0.1", "train.budget=null",
    "train.epochs=1", "train.batch_size=8", "train.checkpoint_interval=1 steps",
    "train.precision=bfloat16", "run.visualdl=false", "run.report=false", "run.name=run",
)  # fmt: skip


@pytest.fixture
def operator(tmp_path):
    """The operator, with an empty file of choices in place of the machine's."""
    with kernels.use("auto"):
        library = build.library()
    if library is None or not library.paddle_resnet_can_bfloat16():
        pytest.skip("the CPU operator cannot compute in bfloat16 here")
    with kernels.use("require"):
        library.paddle_resnet_choice_file(os.fsencode(tmp_path / "choices.txt"))
        yield library
        kept = algorithm_choice.choices_file(Path(library._name).name)
        library.paddle_resnet_choice_file(os.fsencode(kept))
        library.paddle_resnet_begin_notes()


def recipe(place):
    return load_config("quickstart", (*RECIPE, f"run.dir={place}"))


def weights(folder):
    return read_weights(folder.last)[0]


def equal(first, second):
    return all(np.array_equal(array, second[name]) for name, array in first.items())


def test_a_resumed_run_keeps_its_choices_and_bits(operator, tmp_path):
    run(recipe(tmp_path / "whole"))
    whole = RunFolder(tmp_path / "whole" / "run")
    assert "algorithms of convolutions by shape and direction: " in whole.log.read_text()
    with stopping_after(2):
        run(recipe(tmp_path / "cut"))
    folder = RunFolder(tmp_path / "cut" / "run")
    # This machine would choose otherwise now.
    file = tmp_path / "choices.txt"
    other = {"direct": "winograd", "winograd": "direct", "gemm": "direct"}
    lines = [line.split(" ", 1) for line in file.read_text().splitlines()]
    file.write_text("".join(f"{other[name]} {rest}\n" for name, rest in lines))
    operator.paddle_resnet_choice_file(os.fsencode(file))
    run(recipe(tmp_path / "cut"), resume=folder)
    assert equal(weights(whole), weights(folder))
    said = folder.log.read_text()
    assert "warning: the run keeps its algorithms for " in said
    assert "it may differ in the last bits" not in said


def test_a_run_resumed_with_another_choice_warns(operator, tmp_path):
    with stopping_after(2):
        run(recipe(tmp_path))
    folder = RunFolder(tmp_path / "run")
    # The variable ends first: what is forced goes back to what it says.
    with algorithm_choice.forced(operator, "gemm"), pytest.MonkeyPatch.context() as patch:
        patch.setenv(algorithm_choice.VARIABLE, "gemm")
        run(recipe(tmp_path), resume=folder)
    assert "warning: PADDLE_RESNET_CONV=gemm overrules the algorithms of " in folder.log.read_text()


def test_without_the_operator_notes_are_passed_on():
    lines = []
    choices = ConvolutionChoices(lines.append)
    noted = {"choices": ["direct forward 2 32 8 8 32 3 3 1 1 1 1 bfloat16 1"]}
    with kernels.use("off"):
        choices.load_state_dict(noted)
        assert choices.state_dict() == noted
    assert lines == []
    with pytest.raises(TypeError):
        choices.load_state_dict({"choices": [3]})
