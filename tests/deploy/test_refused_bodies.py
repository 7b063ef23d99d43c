"""A request that is refused by its head: the client can read why, whatever it still sends."""

import asyncio
import json
import socket
import time

import pytest
from service_process import Service

pytest.importorskip("fastapi", reason="needs the extra [serve]")
MEBIBYTE = 2**20


def running(file, *options):
    with Service(file, "--max-mb", "1", *options) as it:
        yield it
        code, err = it.stop()
        assert code == 0
        assert err == ""


@pytest.fixture(scope="module")
def service(float32_file):
    yield from running(float32_file)


@pytest.fixture(scope="module")
def hasty(float32_file):
    """A service that waits one second for a body, and as long after its answer."""
    yield from running(float32_file, "--timeout", "1")


def head(*lines):
    lines = ["POST /predict HTTP/1.1", "Host: localhost", *lines]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def everything(client):
    """Return all that the service sends until it closes its side."""
    content = b""
    while part := client.recv(65536):
        content += part
    return content


def status_and_error(content):
    top, _, body = content.partition(b"\r\n\r\n")
    lines = top.lower().split(b"\r\n")
    assert b"connection: close" in lines
    assert b"content-length: %d" % len(body) in lines
    return int(top.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize("size", [MEBIBYTE + 1, 20 * MEBIBYTE])
@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("Content-Length: {size}", 413, "{size} bytes"),
        ("Transfer-Encoding: chunked", 411, "Content-Length"),
    ],
)
def test_a_client_that_sends_all_before_it_reads(service, size, line, status, words):
    body = b"\0" * size
    if status == 411:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(head(line.format(size=size)) + body)
        # The service has answered and half closed long ago; nothing of that is lost.
        answer = status_and_error(everything(client))
    assert answer[0] == status
    assert words.format(size=size) in answer[1]


def test_a_slow_body_is_answered_too(hasty):
    with socket.create_connection(("127.0.0.1", hasty.port), 60) as client:
        client.sendall(head(f"Content-Length: {MEBIBYTE}"))
        answer = client.recv(1)  # nothing came within --timeout
        client.sendall(b"\0" * MEBIBYTE)
        assert status_and_error(answer + everything(client))[0] == 408


def test_no_http_with_much_behind_it(service):
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(b"\0\r\n\r\n" + b"\0" * 20 * MEBIBYTE)
        assert everything(client).startswith(b"HTTP/1.1 400 ")


def test_a_wrong_chunk_behind_the_answer(service):
    """A refusal that leaves the connection open, and then a body that is no HTTP."""
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        answer = client.recv(9)
        assert answer == b"HTTP/1.1 "
        client.sendall(b"no chunk\r\n" + b"\0" * 20 * MEBIBYTE)
        assert everything(client).startswith(b"404 ")


def test_a_wrong_chunk_of_a_request_for_the_head_alone(service):
    with socket.create_connection(("127.0.0.1", service.port), 60) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n")
        client.sendall(b"\r\nno chunk\r\n")
        assert everything(client).split()[1] in (b"400", b"405")


def test_a_client_that_closes_its_own_side(service):
    """As `nc -N` does: the request is whole, and is answered."""
    for line, status in ((b"GET /health", b"200"), (b"POST /predict", b"400")):
        with socket.create_connection(("127.0.0.1", service.port), 60) as client:
            client.sendall(line + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
            client.shutdown(socket.SHUT_WR)
            assert everything(client).split()[1] == status


def sent_until_cut_off(port, part, most, pause=0.0):
    """Return how many parts of a body without end were sent, at most some."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(head(f"Content-Length: {10**12}"))
        for number in range(most):
            try:
                client.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                return number
            time.sleep(pause)
    return most


def test_a_client_that_never_stops_is_cut_off(service):
    from paddle_resnet.deploy.service.http_protocol import LINGER_BYTES

    most = 4 * LINGER_BYTES // MEBIBYTE  # the system buffers some MiB on both sides
    assert sent_until_cut_off(service.port, b"\0" * MEBIBYTE, most) < most
    assert service.request("GET", "/health")[0] == 200


def test_a_client_that_sends_slowly_is_cut_off(hasty):
    assert sent_until_cut_off(hasty.port, b"\0", 300, pause=0.2) < 300
    assert hasty.request("GET", "/health")[0] == 200


def test_such_connections_count_against_the_limit():
    """The limit is two: with one that is lingering a further one is refused."""
    statuses = asyncio.run(_statuses_beside_a_lingering_connection())
    assert statuses == [413, 503, 413]


async def _statuses_beside_a_lingering_connection():
    import uvicorn
    from uvicorn.server import ServerState

    from paddle_resnet.deploy.service.http_protocol import TimedProtocol

    async def app(scope, receive, send):
        headers = [(b"connection", b"close"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(app, lifespan="off", limit_concurrency=2, log_config=None)
    config.load()
    state = ServerState()

    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("Content-Length: 1000"))
        status = int((await reader.read()).split()[1])
        return status, writer

    async def empty():
        while state.connections:
            await asyncio.sleep(0.01)

    server = await asyncio.get_running_loop().create_server(
        lambda: TimedProtocol(config, state, {}, linger_seconds=60), "127.0.0.1", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        first, open_one = await ask()
        assert len(state.connections) == 1  # its client has the answer and has not closed
        second, other = await ask()
        open_one.close()
        other.close()
        await asyncio.wait_for(empty(), 60)
        third, last = await ask()
        last.close()
        await asyncio.wait_for(empty(), 60)
    return [first, second, third]
