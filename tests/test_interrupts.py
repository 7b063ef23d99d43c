"""Ctrl-C within a block that defers it."""

import os
import signal
import threading
import time

import pytest

from paddle_resnet import interrupts
from paddle_resnet.interrupts import deferred_interrupt


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(block):
    """Run a block in which Ctrl-C is deferred; return the interrupt."""
    with pytest.raises(KeyboardInterrupt) as caught, deferred_interrupt():
        block()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return caught.value


def test_it_takes_effect_at_the_end():
    done = []

    def block():
        ctrl_c()
        time.sleep(0.01)
        done.append("the rest of the block")

    interrupted(block)
    assert done


def test_it_is_not_hidden_by_an_error_of_the_block():
    def block():
        ctrl_c()
        raise ImportError("initialization failed")

    assert isinstance(interrupted(block).__context__, ImportError)


def test_a_block_without_one_changes_nothing():
    with deferred_interrupt():
        pass
    with pytest.raises(ZeroDivisionError), deferred_interrupt():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_blocks_within_blocks():
    done = []

    def block():
        with deferred_interrupt():
            ctrl_c()
        done.append("outer")

    interrupted(block)
    assert done


def test_as_a_decorator():
    @deferred_interrupt()
    def work(done):
        ctrl_c()
        done.append(1)

    for _ in range(2):
        done = []
        with pytest.raises(KeyboardInterrupt):
            work(done)
        assert done


def test_the_handler_outside_decides():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with deferred_interrupt():
            ctrl_c()
            ctrl_c()  # the same press, repeated by a launcher
            assert seen == []
        assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_one_takes_effect_at_once(monkeypatch):
    monkeypatch.setattr(interrupts, "AT_ONCE_SECONDS", 0.0)
    done = []

    def block():
        ctrl_c()
        time.sleep(0.01)
        done.append("first")
        ctrl_c()
        time.sleep(0.01)
        done.append("second")

    interrupted(block)
    assert done == ["first"]


def test_other_threads_run_as_before():
    done = []

    def work():
        with deferred_interrupt():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupt():
            ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_waits_too_where_it_has_a_handler():
    seen, done = [], []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(len(done)))
    try:
        with deferred_interrupt():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            done.append("the rest of the block")
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
    assert seen == [1]
