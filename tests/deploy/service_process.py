"""`paddle-resnet serve` in a process of its own."""

import http.client
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: As a user starts it: tests of this folder may have another one as `sys.executable`.
PYTHON = sys.executable


class Service:
    """`paddle-resnet serve` in a process of its own, on a free port."""

    def __init__(self, source, *options):
        code = "import sys; from paddle_resnet.cli import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [PYTHON, "-c", code, "serve", str(source), "--port", "0", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + self.process.stderr.read()
        self.port = int(found.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def request(self, method, path, body=None, headers=None, **options):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, **options)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def predict(self, body, query="", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, content = self.request("POST", "/predict" + query, body, headers)
        return status, json.loads(content)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err
