"""SIGINT and SIGTERM, as people, launchers and schedulers send them."""

import json
import os
import signal
import sys
import time

import kill_harness
import pytest

from paddle_resnet.training.signals import SignalHandler

linux = pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux")


def send(*numbers, gap=0.0):
    """Send this process signals; return whether one of them ended the block at once."""
    handler = SignalHandler()
    try:
        with handler.listening():
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(gap)
    except KeyboardInterrupt:
        return handler, True
    return handler, False


@linux
def test_a_signal_is_a_flag_and_prints_nothing(capsys):
    handler, at_once = send(signal.SIGINT)
    assert (handler.stop_requested, at_once) == (True, False)
    assert capsys.readouterr() == ("", "")
    assert not SignalHandler().stop_requested


@linux
@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("gap", [0.0, 0.2])
def test_sigterm_never_ends_the_process_by_itself(count, gap):
    handler, at_once = send(*[signal.SIGTERM] * count, gap=gap)
    assert (handler.stop_requested, at_once) == (True, False)


@linux
def test_a_launchers_repeated_sigint_is_one():
    """`paddle.distributed.launch` passes a terminal's Ctrl-C on, up to three times in 0.5 s."""
    handler, at_once = send(*[signal.SIGINT] * 3, gap=0.2)
    assert (handler.stop_requested, at_once) == (True, False)


@linux
def test_a_second_ctrl_c_ends_at_once():
    handler, at_once = send(signal.SIGINT, signal.SIGINT, gap=1.1)
    assert (handler.stop_requested, at_once) == (True, True)


@linux
def test_a_sigterm_after_a_sigint_does_not():
    _, at_once = send(signal.SIGINT, signal.SIGTERM, gap=1.1)
    assert not at_once


@linux
def test_the_handlers_before_come_back_and_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        interrupt = signal.getsignal(signal.SIGINT)
        handler = SignalHandler()
        with handler.listening():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)
        assert not handler.stop_requested
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


SMALL = (
    "train.precision=float32",
    "data.max_train_images=64", "data.validation=0.05", "train.eval_batch_size=100",
    "model.options.layers=[1,1,1,1]", "run.visualdl=false",
)  # fmt: skip


def recipe(tmp_path, *overrides):
    line = kill_harness.command(tmp_path / "run", 5000, "1000 steps", 0)
    for override in (*SMALL, *overrides):
        line += ["-o", override]
    return line


@linux
@pytest.mark.parametrize(
    ("number", "count"), [(signal.SIGTERM, 2), (signal.SIGTERM, 5), (signal.SIGINT, 3)]
)
def test_a_training_is_stopped_with_a_checkpoint_however_often_it_is_told(
    tmp_path, number, count, warm_python
):
    line = recipe(tmp_path, "run.log_interval=0.0001")
    process = kill_harness.start(line, tmp_path / "log", python=warm_python)
    steps = tmp_path / "run" / "steps.jsonl"
    while not steps.is_file() or len(steps.read_text().splitlines()) < 3:
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.05)
    for _ in range(count):
        if process.poll() is None:
            process.send_signal(number)
            time.sleep(0.2)
    # The last signal may meet an interpreter that has done everything and is shutting down.
    assert process.wait(timeout=60) in (130, -number), (tmp_path / "log").read_text()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert kill_harness.newest_step(tmp_path / "run") == result["training"]["steps"]
    assert (tmp_path / "run" / "last.safetensors").is_file()
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("stopped after step") == 1
    assert "To resume: paddle-resnet train --resume" in log
