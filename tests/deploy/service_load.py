"""A service under load: requests a second, latencies, wrong answers and memory.

The clients share the machine with the service, so the figures are floors.
As a command: `python tests/deploy/service_load.py FILE.onnx --requests 20000 --clients 1 8 32`.
"""

import argparse
import http.client
import io
import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image
from service_process import Service

from paddle_resnet import Predictor
from paddle_resnet.cpu_runtime import cpu_model
from paddle_resnet.data import load_cifar10

IMAGES = 64


def pictures():
    """Return PNG files of 32 x 32 pixels."""
    found = []
    for image in load_cifar10("sample").test_images[:IMAGES]:
        with io.BytesIO() as file:
            Image.fromarray(image.transpose(1, 2, 0)).save(file, "PNG")
            found.append(file.getvalue())
    return found


def memory_mb(process):
    """Return the resident memory of a process in MB."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def load(service, clients, requests, bodies, expected):
    """Return seconds of all requests and what was wrong with some of them."""
    seconds, wrong = [], []
    left = iter(range(requests))
    lock = threading.Lock()

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                connection.close()
                return
            index = number * 7 % len(bodies)
            began = time.perf_counter()
            try:
                connection.request("POST", "/predict?top=10", bodies[index])
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                wrong.append(repr(error))
                connection.close()
                continue
            seconds.append(time.perf_counter() - began)
            if answer.status != 200:
                wrong.append(answer.status)
                continue
            (result,) = json.loads(content)["results"]
            given = {each["class"]: each["probability"] for each in result["top"]}
            if any(abs(given[name] - value) > 1e-4 for name, value in expected[index].items()):
                wrong.append(index)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, wrong, time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--requests", type=int, default=20000, help="of all clients together")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    arguments = parser.parse_args()
    bodies = pictures()
    expected = [
        {each["class"]: each["probability"] for each in row}
        for row in Predictor(arguments.file).predict(bodies, top=10)
    ]
    share, failures = arguments.requests // len(arguments.clients), 0
    print(f"{cpu_model()}, {os.cpu_count()} cores; load before: {os.getloadavg()[0]:.1f}")
    with Service(arguments.file) as service:
        load(service, 8, 200, bodies, expected)
        print(f"{memory_mb(service.process):.0f} MB after 200 requests")
        for clients in arguments.clients:
            seconds, wrong, wall = load(service, clients, share, bodies, expected)
            p50, p99 = 1000 * np.percentile(seconds, [50, 99])
            print(
                f"{clients} clients, {share} requests: {share / wall:.0f} requests/s, "
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, wrong: {len(wrong)} {wrong[:3]}; "
                f"{memory_mb(service.process):.0f} MB; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            failures += len(wrong)
        code, err = service.stop()
    print(f"exit code {code} {err}")
    return 1 if failures or code or err else 0


if __name__ == "__main__":
    sys.exit(main())
