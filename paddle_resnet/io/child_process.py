"""Talks to the processes of :mod:`paddle_resnet.compare.worker`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

from ..cpu_runtime import RUNTIME
from ..errors import ModelError, UserError

_PACKAGE = Path(__file__).parents[2]


class ChildProcess:
    """A worker; use it as a context manager, which ends it.

    Args:
        name: of the side, for sentences.
        say: called with each line of progress that the worker gives.
    """

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self.name = name
        self.say = say
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        path = [str(_PACKAGE), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "paddle_resnet.compare.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                # A Paddle that was imported before us has left a 1 there.
                "OMP_NUM_THREADS": str(RUNTIME.threads),
            },
        )

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def call(self, do: str, **arguments: object) -> Any:
        """Have the worker do something and return what it says; raises as :meth:`hear` does."""
        self.send(do, **arguments)
        return self.receive()["done"]

    def send(self, do: str, **arguments: object) -> None:
        """Have the worker begin something, or go on with it."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> dict[str, Any]:
        """Return ``{"done": ...}``, or ``{"turn": True}`` when the worker lets the other side work.

        Raises:
            UserError: the worker refused, or was ended from outside, most often for lack of memory.
            RuntimeError: a fault in the worker, with its traceback.
        """
        for line in self._process.stdout:
            answer = json.loads(line)
            if "say" in answer:
                self.say(answer["say"])
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
        return RuntimeError(f"the process of {self.name} ended ({code}):\n{self._errors.read()}")
