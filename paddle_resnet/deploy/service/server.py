"""Run the service: bind, serve, and stop without losing a request that was accepted."""

from __future__ import annotations

import asyncio
import functools
import importlib
import ipaddress
import logging
import signal
import socket
import sys
import warnings
from typing import Any, Optional

from ...errors import DeployError, for_display
from ..onnx_file import missing
from .backend import Backend
from .limits import Limits

#: Seconds in which requests are still answered after SIGTERM, each connection being closed.
_DRAIN_SECONDS = 0.5
#: Seconds after that in which clients that have connected may still send their request: on a busy
#: machine much time can pass between the two.
_REQUEST_SECONDS = 5.0
#: Seconds that running requests get at most after that.
_FINISH_SECONDS = 30


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound; port 0 takes a free one.

    Raises:
        DeployError: the port is in use, or there is no such address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DeployError(f"cannot serve at {for_display(host)}:{port}: {reason}.") from None
    return bound


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_packages() -> None:
    """See to it that a service can run, before a network is read.

    Raises:
        DeployError: a package is missing; says how to install it.
    """
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise missing(package, error, "serve") from None


def serve(
    backend: Backend,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Optional[Limits] = None,
    allowed_hosts: Optional[list[str]] = None,
) -> None:
    """Serve a network until SIGINT or SIGTERM.

    After a signal, requests are answered for half a second more while their connections are
    closed; then the socket is closed, the clients that have connected by then get up to five
    seconds to send their request, and what runs is finished.

    Args:
        backend: the network.
        host: address to bind. Default: this machine alone.
        port: 0 takes a free one.
        limits: of requests.
        allowed_hosts: values of the Host header. Default: of a loopback address its names, so that
            no page of another site can reach the service by a name of its own; else all.

    Raises:
        DeployError: the port is in use, or a package is missing.
    """
    check_packages()
    limits = limits or Limits()
    import uvicorn

    from .app import create_app
    from .http_protocol import TimedProtocol

    bound = bind(host, port)
    if allowed_hosts is None and is_loopback(host):
        allowed_hosts = ["localhost", "127.0.0.1", "::1", "[::1]"]
    app = create_app(backend, limits, allowed_hosts)
    config = uvicorn.Config(
        app,
        http=functools.partial(TimedProtocol, linger_seconds=limits.timeout),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.max_connections,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_FINISH_SECONDS,
    )
    address, bound_port = bound.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    line = (
        f"serving {backend.manifest.model} ({backend.runtime}) at http://{name}:{bound_port}/ "
        "(page), /predict, /health, /metrics, /docs; Ctrl-C stops"
    )
    _quiet_logs()
    server = _server_class(uvicorn, line)(config)
    # uvicorn raises the signal again at its end, which would be the exit code.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    server.run(sockets=[bound])


class _ClientsFault(logging.Filter):
    """Drops lines about clients that send no HTTP or leave in the middle of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        error = record.exc_info[1] if record.exc_info else None
        return (
            type(error).__name__ not in ("LocalProtocolError", "ClientDisconnect")
            and record.msg != "Invalid HTTP request received."
        )


def _quiet_logs() -> None:
    logging.getLogger("uvicorn.error").addFilter(_ClientsFault())
    for name in ("multipart", "python_multipart", "PIL"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Pillow warns about corrupt images, each text anew, and Python remembers each text.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _server_class(uvicorn: Any, line: str) -> Any:
    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            """Print the address once connections are taken there."""
            await super().startup(sockets)
            print(line, file=sys.stderr, flush=True)

        async def shutdown(self, sockets: Any = None) -> None:
            """Close the connections at their answers before the socket is closed."""
            self.config.app.state.service.stopping = True
            # In place: requests under way hold this very list.
            self.server_state.default_headers.append((b"connection", b"close"))
            await asyncio.sleep(_DRAIN_SECONDS)
            # A closed socket resets what is in its queue, connected as it is for the client.
            with sockets[0].dup() as queue:
                for listener in self.servers:
                    listener.close()
                clients = take_queued(queue)
            loop = asyncio.get_running_loop()
            for client in clients:
                await loop.connect_accepted_socket(self._protocol, client)
            end = loop.time() + _REQUEST_SECONDS
            while self._some_wait_for_a_request() and loop.time() < end:
                await asyncio.sleep(0.02)
            await super().shutdown(sockets)

        def _protocol(self) -> Any:
            return self.config.http_protocol_class(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        def _some_wait_for_a_request(self) -> bool:
            return any(each.has_had_no_request() for each in self.server_state.connections)

    return Server


def take_queued(queue: socket.socket) -> list[socket.socket]:
    """Return the connections that the system has accepted and the service has not."""
    clients = []
    queue.setblocking(False)
    while True:
        try:
            clients.append(queue.accept()[0])
        except ConnectionAbortedError:  # its client has left
            continue
        except OSError:  # BlockingIOError: there are no more
            return clients
