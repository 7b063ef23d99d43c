"""Which evaluation is the best, and the order in which its files are written."""

import math
import os
from pathlib import Path

import pytest
from small_training import sgd, small_state

from paddle_resnet.data import BatchLoader
from paddle_resnet.runs.run_folder import RunFolder
from paddle_resnet.runs.run_writer import RunWriter
from paddle_resnet.training.checkpointer import BestMetrics, Checkpointer, read_metrics
from paddle_resnet.training.loop.batch_stream import BatchStream
from paddle_resnet.training.signals import SignalHandler, TrainingInterrupted


@pytest.mark.parametrize(
    ("accuracy", "loss", "is_best"),
    [
        (0.6, 9.0, True),
        (0.5, 0.9, True),  # equal accuracy, smaller loss
        (0.5, 1.0, False),  # a tie: the first stays
        (0.5, 1.1, False),
        (0.4, 0.1, False),
        (0.9, math.nan, False),
        (0.9, math.inf, False),
    ],
)
def test_the_best_evaluation(accuracy, loss, is_best):
    best = BestMetrics()
    assert best.update(1, {"val_acc_top1": 0.5, "val_loss": 1.0})
    assert best.update(2, {"val_acc_top1": accuracy, "val_loss": loss}) is is_best
    assert best.metrics["epoch"] == (2 if is_best else 1)


def test_an_epoch_without_an_evaluation_is_never_the_best():
    best = BestMetrics()
    assert not best.update(1, {"loss": 1.0})
    assert best.metrics is None


@pytest.fixture
def run(tmp_path, tiny, sample):
    state = small_state(tiny, sgd(tiny), [], best=BestMetrics())
    state.batches = BatchStream(BatchLoader(sample.train_images[:64], sample.train_labels[:64], 32))
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    signals = SignalHandler()
    return state, Checkpointer(RunWriter(folder), signals, {}), folder, signals


def test_the_checkpoint_is_written_before_the_best_weights(run, monkeypatch):
    state, checkpointer, folder, _ = run
    order, replace = [], os.replace

    def note(source, target):
        replace(source, target)
        order.append(Path(target).name)

    monkeypatch.setattr(os, "replace", note)
    state.progress.epoch, state.progress.step = 1, 2
    checkpointer.after_epoch(state, {"val_acc_top1": 0.5, "val_loss": 1.0})
    (checkpoint,) = folder.checkpoints.glob("step-*.safetensors")
    assert order == [checkpoint.name, folder.best.name]
    assert read_metrics(folder.best) == {"epoch": 1, "val_acc_top1": 0.5, "val_loss": 1.0}


def test_a_worse_epoch_leaves_the_best_weights(run):
    state, checkpointer, folder, _ = run
    for epoch, accuracy in ((1, 0.5), (2, 0.4)):
        state.progress.epoch, state.progress.step = epoch, 2 * epoch
        checkpointer.after_epoch(state, {"val_acc_top1": accuracy, "val_loss": 1.0})
    assert read_metrics(folder.best)["epoch"] == 1
    assert len(list(folder.checkpoints.glob("step-*.safetensors"))) == 2


def test_a_signal_saves_and_stops(run):
    state, checkpointer, folder, signals = run
    state.progress.step = 1
    checkpointer.after_step(state)
    assert not list(folder.checkpoints.iterdir())
    signals.stop_requested = True
    with pytest.raises(TrainingInterrupted):
        checkpointer.after_step(state)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000001.safetensors"]
