import functools
import http.server
import socket
import threading
import time

import pytest

from paddle_resnet.data.cifar import formats, sample
from paddle_resnet.data.cifar.fingerprint import verify
from paddle_resnet.data.cifar.sources.paddle_download import download
from paddle_resnet.errors import DataError


@pytest.fixture
def serve():
    """Start a real server on this machine that answers as `respond(handler)` says."""
    servers = []

    def start(respond):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                respond(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler, content, claimed=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(claimed or len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def test_a_download_arrives_whole(serve, official):
    lines = []
    url = serve(functools.partial(send, content=official.read_bytes()))
    verify(download(url, lines.append), sample.SAMPLE)
    assert lines == [f"Downloading CIFAR-10 from {url}"]


def test_a_server_that_says_no(serve):
    url = serve(lambda handler: handler.send_error(404, "Not Found"))
    with pytest.raises(DataError, match=r"could not be downloaded .*404"):
        download(url, print)


def test_a_connection_that_ends_in_the_middle(serve, official):
    content = official.read_bytes()
    url = serve(lambda handler: send(handler, content[:100_000], len(content)))
    with pytest.raises(DataError, match="could not be downloaded"):
        download(url, lambda _: None)


def test_a_page_in_place_of_the_file(serve):
    url = serve(lambda handler: send(handler, b"<html>please log in to the hotel network</html>"))
    with pytest.raises(DataError, match="not a whole archive"):
        download(url, lambda _: None)


def test_a_silent_server_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with pytest.raises(DataError, match="could not be downloaded"):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/", print, timeout=0.5)
        assert time.monotonic() - begin < 3


def test_a_server_that_falls_silent_is_given_up_in_time(serve):
    gate = threading.Event()

    def respond(handler):
        send(handler, b"\x1f\x8b begun", 1_000_000)
        gate.wait(10)

    begin = time.monotonic()
    with pytest.raises(DataError, match=r"could not be downloaded .*timed out"):
        download(serve(respond), lambda _: None, timeout=0.5)
    gate.set()
    assert time.monotonic() - begin < 3


def test_the_tests_read_the_format_that_they_serve(official):
    verify(formats.read(official), sample.SAMPLE)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "no-such-scheme://x", "http://["])
def test_bad_addresses(url):
    with pytest.raises(DataError, match="could not be downloaded"):
        download(url, print)
