"""Work in a process of its own: requests and answers are lines of JSON.

A request is ``{"do": name, ...}`` with arguments. The child answers with any number of
``{"say": text}``, then with ``{"done": value}``, or ``{"turn": true}`` (it continues after the next
line, whatever that is), or ``{"refused": sentence}``, or ``{"fault": traceback}``. Nothing is
pickled, so that the child may run in another interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional

from ..cpu_runtime import RUNTIME
from ..errors import ModelError, UserError

_PACKAGE = Path(__file__).parents[2]


class ChildEnded(RuntimeError):
    """The child ended before it answered.

    Args:
        name: of the child.
        code: its exit code.
        errors: what it wrote to standard error.
    """

    def __init__(self, name: str, code: int, errors: str) -> None:
        super().__init__(f"the process of {name} ended ({code}):\n{errors}")
        self.last_line = (errors.strip().splitlines() or [f"exit code {code}"])[-1]


class ChildProcess:
    """A child; use it as a context manager, which ends it.

    Args:
        name: of the child, for sentences.
        command: program and arguments.
        environment: the child's, whole. Default: :func:`package_environment`.
        log: called with each line of progress.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Optional[Mapping[str, str]] = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.log = log
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in __exit__)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=package_environment() if environment is None else environment,
        )

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def call(self, do: str, **arguments: object) -> Any:
        """Send a request and return the value of its answer; raises as :meth:`receive` does."""
        self.send(do, **arguments)
        return self.receive()["done"]

    def send(self, do: str, **arguments: object) -> None:
        """Send a request, or let the child continue after a ``turn``."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> dict[str, Any]:
        """Return ``{"done": ...}``, or ``{"turn": True}`` when the child lets others work.

        Raises:
            UserError: the child refused, or was killed, most often for lack of memory.
            ChildEnded: it ended by itself.
            RuntimeError: a fault in the child, with its traceback.
        """
        for line in self._process.stdout:
            answer = json.loads(line)
            if "log" in answer:
                self.log(answer["log"])
            elif "refused" in answer:
                raise ModelError(answer["refused"])
            elif "fault" in answer:
                raise RuntimeError(f"{self.name}:\n{answer['fault']}")
            else:
                return answer
        raise self._ended()

    def _ended(self) -> Exception:
        code = self._process.wait()
        if code == -9:
            return UserError(
                f"the process of {self.name} was killed, most often for lack of memory: try a "
                "smaller --batch-size or --image-size."
            )
        self._errors.seek(0)
        return ChildEnded(self.name, code, self._errors.read())


def package_environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a child that imports this package, with this process's threads."""
    path = [str(_PACKAGE), base.get("PYTHONPATH", "")]
    return {
        **base,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        # A Paddle that was imported before us has left a 1 there.
        "OMP_NUM_THREADS": str(RUNTIME.threads),
    }


def serve(make: Callable[[Callable[[str], None], Callable[[], None]], object]) -> None:
    """Answer requests in a child until standard input ends.

    Args:
        make: makes the object whose methods are the requests, from ``log(text)`` and ``wait()``,
            which answers ``turn`` and returns after the parent's next line. Called once.
    """
    # Answers go out on a descriptor of their own: Paddle and callbacks print to standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**content: object) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    def wait() -> None:
        answer(turn=True)
        if not sys.stdin.readline():
            raise EOFError("the parent process ended")

    worker = make(lambda line: answer(log=line), wait)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        try:
            answer(done=getattr(worker, request.pop("do"))(**request))
        except UserError as error:
            answer(refused=str(error))
        except Exception:
            answer(fault=traceback.format_exc())
