"""The command line: picks the sub-command, and turns errors into sentences.

Exit codes: 0 done, 1 a fault of ours (with its traceback), 2 wrong input or a hostile machine (one
sentence), 130 interrupted, 141 the reader of the output has closed it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn, Optional

from .errors import UserError, did_you_mean
from .io import console
from .version import __version__

#: Sub-commands, in the order in which one meets them: module of `commands` and its one line.
COMMANDS = {
    "train": "train a network by a recipe",
    "evaluate": "accuracy and loss of a trained network",
    "predict": "classify images",
    "export": "a network as a file for other runtimes",
    "serve": "a network as an HTTP service",
    "report": "write a run's report.html again",
    "models": "list the networks",
    "count": "layers, parameters and multiplications of a network",
    "compare": "two networks side by side in one run",
    "study": "experiments that show why residual networks work",
    "data": "fetch a data set ahead of time",
    "benchmark": "measure speed against Paddle as installed",
    "build": "compile the CPU operator ahead of its first use",
    "doctor": "what this machine is, what is used of it, what is missing",
}


class _Parser(argparse.ArgumentParser):
    """A parser that names the nearest spelling and exits with 2, in one sentence."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("argument COMMAND: invalid choice: '"):
            given = message.split("'", 2)[1]
            message = f"unknown command '{given}', expected one of {', '.join(COMMANDS)}."
            message += did_you_mean(given, COMMANDS)
        self.exit(2, f"error: {message}\nTry '{self.prog} --help'.\n")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command line and return its exit code."""
    before = sys.stdout, sys.stderr
    console.set_up()
    streams = sys.stdout, sys.stderr
    # Of corrupt EXIF data Pillow names a line of its source; the pixels can be read all the same.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    code = 0
    try:
        try:
            code = _run(argv)
        finally:
            for stream in streams:
                stream.flush()
        return code
    except BrokenPipeError as error:
        if any(stream.is_closed_pipe for stream in streams):
            return code or console.CLOSED_PIPE
        return _complain(f"{error.strerror or error}.", 2)  # another pipe than the console's
    except OSError as error:
        return _complain(f"the output cannot be written: {error.strerror or error}.", 2)
    finally:
        sys.stdout, sys.stderr = before


def _run(argv: Optional[Sequence[str]]) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(prog="paddle-resnet", description="Residual networks on PaddlePaddle.")
    parser.add_argument("--version", action="version", version=f"paddle_resnet {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    )
    for name, summary in COMMANDS.items():
        # Only the command that is asked for is imported: --help answers at once.
        if argv[:1] == [name]:
            importlib.import_module(f".commands.{name}", __package__).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary, add_help=False)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except UserError as error:
        return _complain(str(error), 2)
    except ModuleNotFoundError as error:
        if error.name != "paddle":
            raise
        return _complain(str(error), 2)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        return _complain(f"{error.strerror or error}{where}.", 2)
    except KeyboardInterrupt:
        return 130


def _complain(sentence: str, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        print(f"error: {sentence}", file=sys.stderr)
    return code
