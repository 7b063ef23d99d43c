"""A Python that holds Paddle before it is started: for tests that start processes.

To import Paddle and the package takes a process a second and a half of work, and the suite starts
more than a hundred. A server imports them once; :class:`WarmPython` makes an executable that is
used as ``sys.executable`` is. Its process hands its arguments, environment, folder and open
streams to a child that the server forks, passes signals on, and ends as the child does.

What happens before a program's first line is still Python's own: the executable is a Python
without site packages, whose streams, encodings and ignored signals the child takes over, and
whatever cannot be taken over starts ``sys.executable`` itself: other settings of Python's, of
OpenMP, of Paddle or of the loader, another encoding of file names, other options than -c and -m.
What follows the last line, such as the flushing of streams, is Python's own end of a process.

The child is no child of the test. So a test starts ``sys.executable`` that kills it with SIGKILL
and looks at once, changes users, limits or mounts for it, or whose subject is what a process
imports, or has in memory when nothing was computed.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Beginnings of variables that are read before a program's first line, by whatever reads them.
READ_AT_START = ("FLAGS_", "GLIBC_", "GLOG_", "GOMP_", "KMP_", "LD_", "MALLOC_", "OMP_", "PYTHON")
#: Of Python's own, those that the child takes over.
TAKEN_OVER = ("PYTHONPATH", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONUTF8")
TAKEN_OVER += ("PYTHONCOERCECLOCALE",)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
#: Modules of the package that commands and trainings need.
PRELOADED = """
paddle_resnet.cli paddle_resnet.training.trainer paddle_resnet.commands.train
paddle_resnet.compare.worker paddle_resnet.deploy.predictor paddle_resnet.studies.catalog
"""


class WarmPython:
    """The server; use it as a context manager, which gives the executable's path.

    Args:
        folder: for the executable and the server's socket; it must not have either yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> str:
        if not hasattr(os, "pidfd_open"):  # not Linux
            self.server = None
            return sys.executable
        self.folder.mkdir(parents=True, exist_ok=True)
        address, executable = self.folder / "socket", self.folder / "python"
        # A line of the shell, because `#!` takes one word and no blanks.
        words = (sys.executable, "-S", __file__, address, sys.executable)
        line = " ".join("'{}'".format(str(word).replace("'", "'\\''")) for word in words)
        executable.write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
        executable.chmod(0o755)
        self.server = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(address)],
            stdin=subprocess.PIPE,  # its end is the server's
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        assert self.server.stdout.readline() == b"ready\n"
        return str(executable)

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            # Not by the end of its input: a process that a test has forked may hold that open.
            self.server.kill()
            self.server.communicate(timeout=60)


# The executable


def start(address: str, python: str, arguments: list[str]) -> None:
    """Let the server start a child, and live and end as it does."""
    opened = [number for number in range(3) if _is_open(number)]
    try:
        server = socket.socket(socket.AF_UNIX)
        server.connect(address)
    except OSError:  # the server is gone
        os.execv(python, [python, *arguments])
    request = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "opened": opened,
        "streams": [_settings(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "file_names": [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()],
        "ignored": [n for n in PASSED_ON if signal.getsignal(n) is signal.SIG_IGN],
    }
    told: list[int] = []
    child = 0

    def pass_on(number: int, frame: object) -> None:
        if child:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(child, number)
        else:
            told.append(number)

    for number in PASSED_ON:
        if number not in request["ignored"]:
            signal.signal(number, pass_on)
    content = json.dumps(request).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", opened))] if opened else []
    server.sendmsg([len(content).to_bytes(4, "big")], rights)
    server.sendall(content)
    lines = server.makefile("r")
    answer = json.loads(lines.readline() or "{}")
    if "child" not in answer:
        for number in PASSED_ON:
            if number not in request["ignored"]:
                signal.signal(number, signal.SIG_DFL)
        os.execv(python, [python, *arguments])
    child = answer["child"]
    for number in told:
        pass_on(number, None)
    for number in opened:  # the child has them: a pipe must end where the child closes it
        os.close(number)
    answer = json.loads(lines.readline() or '{"ended": 9}')
    code = os.waitstatus_to_exitcode(answer["ended"])
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _settings(stream: object) -> dict | None:
    if stream is None:
        return None
    names = ("encoding", "errors", "line_buffering", "write_through")
    return {name: getattr(stream, name) for name in names}


# The server


def serve(address: str) -> tuple[dict, list[int]]:
    """Fork a child for each request; return, in the child, what it was asked and its streams."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    print("ready", flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    clients: dict[socket.socket, int] = {}
    ends: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                os._exit(0)
            if key.fileobj is listener:
                client = listener.accept()[0]
                request, streams = _receive(client)
                if not _can_take_over(request):
                    client.close()
                else:
                    child = os.fork()
                    if child == 0:
                        for other in (listener, client, selector, *clients):
                            other.close()
                        for number in ends:
                            os.close(number)
                        return request, streams
                    clients[client] = child
                    end = os.pidfd_open(child)
                    ends[end] = child, client
                    selector.register(end, selectors.EVENT_READ)
                    selector.register(client, selectors.EVENT_READ)
                    _tell(client, child=child)
                for number in streams:
                    os.close(number)
            elif key.fileobj in clients:  # the executable was killed
                selector.unregister(key.fileobj)
                os.kill(clients[key.fileobj], signal.SIGKILL)
            elif key.fileobj in ends:
                child, client = ends.pop(key.fileobj)
                selector.unregister(key.fileobj)
                os.close(key.fileobj)
                if client in selector.get_map():
                    selector.unregister(client)
                _tell(client, ended=os.waitpid(child, 0)[1])
                client.close()
                del clients[client]


def _receive(client: socket.socket) -> tuple[dict, list[int]]:
    size, rights, _, _ = client.recvmsg(4, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i")
    for _, _, content in rights:
        streams.frombytes(content)
    content = client.makefile("rb").read(int.from_bytes(size, "big"))
    return json.loads(content), list(streams)


def _tell(client: socket.socket, **answer: int) -> None:
    with contextlib.suppress(OSError):  # it is gone
        client.sendall(json.dumps(answer).encode() + b"\n")


def _can_take_over(request: dict) -> bool:
    arguments, environment = request["arguments"], request["environment"]
    own = [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()]
    if request["file_names"] != own or len(arguments) < 1:
        return False
    if arguments[0].startswith("-") and (arguments[0] not in ("-c", "-m") or len(arguments) < 2):
        return False
    asked, mine = (
        {k: v for k, v in each.items() if k.startswith(READ_AT_START) and k not in TAKEN_OVER}
        for each in (environment, os.environ)
    )
    return {"OMP_NUM_THREADS": "1", **asked} == mine


def become(request: dict, streams: list[int]) -> None:
    """Make this process the one that was asked for."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    for number in range(3):
        if number in request["opened"]:
            os.dup2(streams[request["opened"].index(number)], number)
        else:
            os.close(number)
    for number in streams:
        if number > 2:
            os.close(number)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        settings, stream = request["streams"][number], None
        if settings is not None:
            unbuffered = settings.pop("write_through")
            line_buffering = settings.pop("line_buffering")
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, closefd=False, **settings)  # noqa: SIM115
            stream.reconfigure(line_buffering=line_buffering, write_through=unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def execute(arguments: list[str], path: list[str]) -> None:
    """Run what ``python`` runs with these arguments; ``path``: of a Python without a program."""
    extra = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    path = [*extra, *(each for each in path if each not in extra)]
    if arguments[0] == "-c":
        sys.path[:], sys.argv[:] = ["", *path], ["-c", *arguments[2:]]
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(arguments[1], "<string>", "exec"), main.__dict__)
    elif arguments[0] == "-m":
        sys.path[:], sys.argv[:] = [os.getcwd(), *path], ["-m", *arguments[2:]]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[:], sys.argv[:] = [os.path.dirname(arguments[0]), *path], list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def prepare() -> None:
    """Import what most children need; compute nothing, for a child has no threads but its own."""
    import gc
    import importlib

    import paddle_resnet

    paddle_resnet.cpu_runtime.import_paddle()
    for module in PRELOADED.split():
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        sys.path.pop(0)
        search_path = list(sys.path)
        prepare()
        asked, given = serve(sys.argv[2])
        become(asked, given)
        execute(asked["arguments"], search_path)
    else:
        start(sys.argv[1], sys.argv[2], sys.argv[3:])
