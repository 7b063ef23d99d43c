"""Requests to a real child: answers, progress, turns, and every way that it can go wrong."""

import os
import sys

import pytest

from paddle_resnet.errors import UserError
from paddle_resnet.io.child_process import ChildEnded, ChildProcess, package_environment

CHILD = """
import os, sys
from paddle_resnet.errors import UserError
from paddle_resnet.io.child_process import serve

class Worker:
    def __init__(self, log, wait):
        self.log, self.wait = log, wait

    def add(self, a, b):
        print("not an answer")
        self.log(f"adding {a}")
        return a + b

    def in_turns(self, turns):
        for _ in range(turns):
            self.wait()
        return os.environ["OMP_NUM_THREADS"]

    def refuse(self):
        raise UserError("not this one")

    def leave(self):
        sys.exit("for lack of a reason")

serve(Worker)
"""


@pytest.fixture
def lines():
    return []


@pytest.fixture
def child(lines):
    with ChildProcess("it", [sys.executable, "-c", CHILD], log=lines.append) as process:
        yield process


def test_answers_are_values_and_what_is_printed_is_none(child, lines):
    assert child.call("add", a=1, b=2) == 3
    assert child.call("add", a="x", b="é") == "xé"
    assert lines == ["adding 1", "adding x"]


def test_a_child_waits_for_its_turn_and_has_this_processes_threads(child):
    child.send("in_turns", turns=2)
    assert child.receive() == {"turn": True}
    child.send("continue")
    assert child.receive() == {"turn": True}
    child.send("continue")
    assert child.receive() == {"done": package_environment()["OMP_NUM_THREADS"]}


def test_a_refusal_is_a_users_error_and_the_child_goes_on(child):
    with pytest.raises(UserError, match="not this one"):
        child.call("refuse")
    assert child.call("add", a=1, b=1) == 2


def test_a_fault_has_the_childs_traceback(child):
    with pytest.raises(RuntimeError, match=r"(?s)it:.*Traceback.*AttributeError.*nothing"):
        child.call("nothing")


def test_a_child_that_leaves_says_why(child):
    with pytest.raises(ChildEnded, match=r"the process of it ended \(1\)") as caught:
        child.call("leave")
    assert caught.value.last_line == "for lack of a reason"


def test_a_killed_child_is_a_users_error(child):
    assert child.call("add", a=1, b=1) == 2
    os.kill(child._process.pid, 9)
    with pytest.raises(UserError, match="the process of it was killed, most often for lack of mem"):
        child.call("add", a=1, b=1)


def test_the_child_is_gone_after_the_block():
    with ChildProcess("it", [sys.executable, "-c", CHILD]) as process:
        assert process.call("add", a=1, b=1) == 2
    assert process._process.poll() is not None
