"""Requests made at random against a service on this machine.

As a command: `python tests/deploy/service_fuzz.py FILE.onnx --requests 10000`.
"""

import argparse
import http.client
import io
import json
import random
import socket
import sys

import numpy as np
from PIL import Image
from service_process import Service

#: What a service may answer, whatever it was asked.
STATUSES = {200, 400, 404, 405, 408, 411, 413, 415, 431, 503}
TYPES = ["image/png"] * 30 + ["application/octet-stream"] * 5 + ["text/plain", "", "a/b" * 300]
TYPES += ["multipart/form-data", "application/json", "image/png; q=\xff"]
FORM = "multipart/form-data; boundary=b"
PATHS = ["/predict"] * 12 + [
    "/",
    "/health",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/x",
    "//",
    "/%00",
]
QUERIES = [""] * 30 + ["?top=3", "?top=0", "?top=-1", "?top=1e9", "?top=x&top=2", "?heatmap=true"]
QUERIES += ["?heatmap=2", "?%ff=%00", "?" + "a" * 3000]


def picture(rng):
    size = rng.choice([(1, 1), (32, 32), (50, 40), (300, 2)])
    mode = rng.choice(["RGB", "L", "RGBA", "P", "1", "I;16"])
    kind = rng.choice(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
    pixels = np.random.RandomState(rng.randrange(2**31)).randint(0, 256, (*size[::-1], 3))
    with io.BytesIO() as file:
        image = Image.fromarray(pixels.astype(np.uint8))
        try:
            image.convert(mode).save(file, kind)
        except (OSError, ValueError):  # JPEG without alpha and the like
            image.save(file, "PNG")
        return file.getvalue()


def body(rng):
    """Return a body and its media type."""
    content = bytearray(picture(rng))
    for _ in range(rng.choice([0] * 6 + [1, 5, 50])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if rng.random() < 0.1:
        content = content[: rng.randrange(len(content) + 1)]
    is_form = rng.random() < 0.3
    if is_form:
        head = rng.choice(
            [
                *[b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n'] * 6,
                b"--b\r\n\r\n",
                b'--b\r\nContent-Disposition: form-data; name="file"; filename*=x\r\n\r\n',
                b"--c\r\n",
            ]
        )
        content = head + bytes(content) + rng.choice([b"\r\n--b--\r\n"] * 6 + [b"", b"\r\n--b"])
    return bytes(content), FORM if is_form else rng.choice(TYPES)


def send(port, rng):
    """Send one request; return its status, the body and the path, or None without an answer."""
    content, kind = body(rng)
    path = rng.choice(PATHS) + rng.choice(QUERIES)
    method = rng.choice(["POST"] * 30 + ["GET", "PUT", "HEAD", "OPTIONS", "BREW"])
    length = rng.choice([len(content)] * 60 + [0, len(content) // 2, -1, 10**12, "abc", ""])
    lines = [f"{method} {path} HTTP/1.1", f"Host: {rng.choice(['localhost'] * 9 + ['evil', ''])}"]
    lines += [f"Content-Type: {kind}", "Connection: close"]
    if rng.random() < 0.98:
        lines.append(f"Content-Length: {length}")
    if rng.random() < 0.05:
        lines.append("Transfer-Encoding: " + rng.choice(["chunked", "gzip", "identity"]))
    if rng.random() < 0.02:
        lines.append("X-Long: " + "a" * rng.choice([9000, 70000]))
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content
    if rng.random() < 0.03:
        raw = bytes(rng.randrange(256) for _ in range(200)) + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.settimeout(30)
        try:
            client.sendall(raw)
            if rng.random() < 0.02:
                client.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(client, method=method)
            answer.begin()
            return answer.status, answer.read(), path
        except (OSError, http.client.HTTPException):
            return None


def fuzz(service, requests, seed=0):
    """Return how many requests had each status; raise where an answer is not as it may be."""
    rng, seen = random.Random(seed), {}
    for number in range(requests):
        answer = send(service.port, rng)
        status = answer and answer[0]
        seen[status] = seen.get(status, 0) + 1
        assert answer is not None, number
        assert status in STATUSES, (number, answer)
        assert b"Traceback" not in answer[1], (number, answer)
        if status == 200 and answer[2].startswith("/predict") and answer[1]:
            assert json.loads(answer[1])["results"]
    assert service.request("GET", "/health")[0] == 200
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with Service(arguments.file, "--timeout", "0.5") as service:
        seen = fuzz(service, arguments.requests, arguments.seed)
        code, err = service.stop()
    print(f"{arguments.requests} requests: {seen}; exit code {code}")
    print(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
