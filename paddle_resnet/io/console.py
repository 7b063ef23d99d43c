"""Standard output and error of a command: any encoding, a reader that leaves, or no console."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Any, Union

#: The reader of a pipe closed it: what a shell reports of a process that SIGPIPE ended.
CLOSED_PIPE = 141

_ERRORS = "paddle_resnet_console"
#: Typographic characters of our own texts, where the console's encoding lacks them.
_PLAIN = {
    **{"\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "…": "..."},
    **{"−": "-", "–": "-", "—": "-", "×": "x", "·": "-", "→": "->", "±": "+/-"},
    **{"“": '"', "”": '"', "‘": "'", "’": "'"},
}


def _readable(error: UnicodeError) -> tuple[Union[str, bytes], int]:
    """Replace what an encoding lacks: by plain characters where we know them, else by ``?``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c, "?") for c in lacking), error.end


class Stream:
    """Standard output or error of a command.

    Args:
        stream: what takes the text.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        #: Whether the reader has closed it; what is written then goes to the null device.
        self.is_closed_pipe = False
        #: Whether the command works on without a reader, or gets a BrokenPipeError.
        self.is_optional = False

    def write(self, text: str) -> int:
        """Write text as the stream underneath does."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._close()
            if not self.is_optional:
                raise
            return len(text)

    def flush(self) -> None:
        """Write out what is still held."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._close()
            if not self.is_optional:
                raise
        except OSError:
            # Python would try again at its end, and complain in its own words.
            self._silence()
            raise

    def _close(self) -> None:
        self.is_closed_pipe = True
        self._silence()

    def _silence(self) -> None:
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError, AttributeError):  # no file, as in tests and notebooks
            return
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def set_up() -> None:
    """Make standard output and error a `Stream` each, which takes any text.

    A stream that is missing (closed before the start) becomes the null device, and so do closed
    descriptors: else the next file that is opened would get the number that Paddle prints to.
    """
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:
        null = os.open(os.devnull, os.O_RDWR)
    os.close(null)
    codecs.register_error(_ERRORS, _readable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)
        setattr(sys, name, Stream(stream))


def outlive_the_reader() -> None:
    """Let the command continue where the reader of its output leaves.

    For work whose result is in files: a training piped into ``head`` or ``tee`` must not be lost
    with them, least of all where one Ctrl-C ends both.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Stream):
            stream.is_optional = True
