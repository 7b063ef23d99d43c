"""Downloads, from a server in this process."""

import io
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from paddle_resnet.io.downloads import fetch


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if self.path == "/nowhere" else 200)
            self.send_header("Content-Length", "20" if self.path == "/short" else "10")
            self.end_headers()
            self.wfile.write(b"0123456789")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_whole_file(server):
    file, told = io.BytesIO(), []
    fetch(f"{server}/whole", file, 100, progress=lambda *numbers: told.append(numbers))
    assert file.getvalue() == b"0123456789"
    assert told == [(10, 10)]


@pytest.mark.parametrize(
    ("path", "limit", "words"),
    [
        ("/short", 100, r"IncompleteRead|ended after 10 of 20"),
        ("/whole", 5, "more than the expected 5 bytes"),
        ("/nowhere", 100, "404"),
    ],
)
def test_what_goes_wrong_is_an_os_error(path, limit, words, server):
    with pytest.raises(OSError, match=words):
        fetch(server + path, io.BytesIO(), limit)


def test_an_address_that_is_none():
    with pytest.raises(OSError, match="unknown url type"):
        fetch("resnet50", io.BytesIO(), 100)


def test_a_server_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(OSError, match=r"no answer|timed out"):
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", io.BytesIO(), 100, timeout=0.3)
        assert time.monotonic() - start < 3
