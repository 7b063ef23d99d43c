import io
import sys
import time

import paddle
import pytest
from paddle import nn
from small_training import sgd, small_state

from paddle_resnet.data import BatchLoader
from paddle_resnet.formatting import console_duration, metrics_text
from paddle_resnet.training import ImageClassifier
from paddle_resnet.training.callbacks.progress_bar import ProgressBar
from paddle_resnet.training.loop.batch_stream import BatchStream
from paddle_resnet.training.loop.step import train_step
from paddle_resnet.training.loop.training_loop import train


def fit(tiny, batches, **kwargs):
    model = ImageClassifier(tiny)
    model.prepare(
        paddle.optimizer.Momentum(0.01, parameters=tiny.parameters()),
        nn.CrossEntropyLoss(),
        paddle.metric.Accuracy(),
    )
    model.fit(batches, batches, **kwargs)
    model.evaluate(batches, verbose=kwargs["verbose"])


def test_a_log_file_gets_whole_lines_without_control_characters(tiny, batches, capsys):
    fit(tiny, batches, epochs=2, verbose=2, log_freq=1)
    out = capsys.readouterr().out
    assert all(c == "\n" or c.isprintable() for c in out)
    assert "epoch 1/2, step 1: loss" in out
    assert "epoch 2/2: loss" in out
    assert "val_acc" in out
    assert "images/s" in out
    assert "expected to end in" in out
    assert out.count("evaluated:") == 1


def test_a_terminal_gets_a_bar(tiny, batches, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    fit(tiny, batches, epochs=1, verbose=2)
    assert "\r" in screen.getvalue()
    assert "images/s" in screen.getvalue()


@pytest.mark.parametrize("endless", [False, True])
def test_the_bar_of_a_recipe_has_a_percentage_where_an_epoch_has_an_end(
    tiny, sample, monkeypatch, endless
):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    loader = BatchLoader(sample.train_images[:32], sample.train_labels[:32], 16)
    state = small_state(tiny, sgd(tiny), [], epochs=2)
    state.batches = BatchStream(loader, endless=endless)
    state.progress.plan.steps = 4
    bar = ProgressBar(terminal=True)

    def slow_step(state, batch):
        time.sleep(0.3)  # tqdm draws at most ten times a second
        return train_step(state, batch)

    train(state, callbacks=[bar], step=slow_step)
    assert ("50%|" in screen.getvalue()) == (not endless)
    assert ("step 1" in screen.getvalue()) == endless


def test_verbose_1_writes_one_line_per_epoch_and_0_none(tiny, batches, capsys):
    fit(tiny, batches, epochs=2, verbose=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    fit(tiny, batches, epochs=1, verbose=0)
    assert capsys.readouterr().out == ""


def test_wording():
    assert [console_duration(s) for s in (None, 0.4, 59, 65, 3599, 7860)] == [
        "?",
        "0.40 s",
        "59 s",
        "1 min 05 s",
        "59 min 59 s",
        "2 h 11 min",
    ]
    assert metrics_text({"loss": [1.23456], "acc": 0.5, "step": 3}) == "loss 1.2346  acc 50.00%"
