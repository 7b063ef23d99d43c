"""uvicorn's HTTP protocol with a deadline for the head of a request, and a lingering close."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Optional

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds from the connection, or the first byte of a further request, to the end of its head.
HEAD_SECONDS = 10.0
#: Bytes that are read and discarded after the answer to a request that is refused before its body
#: is here. The connection is then reset.
LINGER_BYTES = 64 * 2**20


class TimedProtocol(H11Protocol):
    """Close connections whose client sends a byte now and then and never a request.

    Args:
        linger_seconds: of reading after such an answer.
        kwargs: of uvicorn.
    """

    _deadline: Optional[asyncio.TimerHandle] = None

    def __init__(self, *args: Any, linger_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._linger_seconds = linger_seconds

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(_LingeringTransport(transport, self, self._linger_seconds))
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Wait on, unless a request is whole."""
        if self.transport.lingering:
            self.transport.discard(data)
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._disarm()
        else:
            self._arm()

    def eof_received(self) -> bool:
        """Answer a whole request of a client that has closed its own side, then close."""
        cycle = self.cycle
        wanted = cycle is not None and not cycle.more_body and not cycle.response_complete
        if wanted:
            cycle.keep_alive = False
        return wanted

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless it follows an answer, such as a wrong chunk does."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(h11.LocalProtocolError):  # HEAD: the answer has no body
                super().send_400_response(msg)
        self.transport.close()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Stop waiting."""
        self._disarm()
        self.transport.lost()
        super().connection_lost(exc)

    def more_may_come(self) -> bool:
        """Return whether the client may still be sending a request that has its answer."""
        state = self.conn.their_state
        return state in (h11.SEND_BODY, h11.ERROR) or (
            state in (h11.DONE, h11.MUST_CLOSE) and bool(self.conn.trailing_data[0])
        )

    def has_had_no_request(self) -> bool:
        """Return whether the client has connected and not sent the head of a request yet."""
        return self.cycle is None and not self.transport.is_closing()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _LingeringTransport:
    """A transport whose `close` lets the client read the answer.

    A socket that is closed while bytes arrive sends a reset, and a reset discards the answer at
    the client. So only the write side is closed, and what arrives is discarded until the client
    closes, or a bound is reached (RFC 9112, section 9.6). Until then the protocol stays among the
    server's connections and counts against their limit.
    """

    def __init__(self, transport: Any, protocol: TimedProtocol, seconds: float) -> None:
        self._transport, self._protocol, self._seconds = transport, protocol, seconds
        self._end: Optional[asyncio.TimerHandle] = None
        self._left = LINGER_BYTES
        self.lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Return whether nothing more can be sent."""
        return self.lingering or self._transport.is_closing()

    def close(self) -> None:
        """Send what is written; then close, at once or when the client has closed."""
        if self.is_closing():
            return
        if not self._protocol.more_may_come():
            self._transport.close()
            return
        self.lingering = True
        with contextlib.suppress(OSError):  # the client is gone; reading finds that out
            self._transport.write_eof()
        self._transport.resume_reading()
        self._end = self._protocol.loop.call_later(self._seconds, self._transport.abort)

    def discard(self, data: bytes) -> None:
        """Count bytes that nobody reads; reset the connection at the bound."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def lost(self) -> None:
        """Stop waiting: the connection has ended."""
        if self._end is not None:
            self._end.cancel()
