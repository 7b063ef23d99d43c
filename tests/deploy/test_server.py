"""The HTTP service: answers, refusals, and a stop that loses nothing."""

import http.client
import io
import json
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from service_fuzz import fuzz
from service_process import Service

from paddle_resnet import Predictor
from paddle_resnet.cli import main

pytest.importorskip("fastapi", reason="needs the extra [serve]")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def service(float32_file):
    with Service(float32_file, "--timeout", "2", "--max-mb", "1", "--max-megapixels", "2") as it:
        yield it
        code, err = it.stop()
        assert code == 0
        assert "Traceback" not in err


def png(pixels, size=None):
    with io.BytesIO() as file:
        image = Image.fromarray(pixels)
        (image.resize(size) if size else image).save(file, "PNG")
        return file.getvalue()


@pytest.fixture(scope="module")
def pictures(cifar):
    return [png(image.transpose(1, 2, 0), (50, 40)) for image in cifar.test_images[:12]]


def form(*files, boundary="----b"):
    parts = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    )
    return parts + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_an_image_in_the_body(service, pictures, float32_file):
    predictor = Predictor(float32_file)
    for kind in ("image/png", "application/octet-stream", "application/x-www-form-urlencoded"):
        status, answer = service.predict(pictures[0], Content_Type=kind)
        assert status == 200
        assert answer["model"] == "resnet20"
        (result,) = answer["results"]
        expected = predictor.predict(pictures[0])[0]
        assert [a["class"] for a in result["top"]] == [a["class"] for a in expected]
        assert result["top"][0]["probability"] == pytest.approx(
            expected[0]["probability"], abs=1e-5
        )


def test_several_images_in_a_form(service, pictures, float32_file):
    files = [(f"{i}<b>.png", content) for i, content in enumerate(pictures)]
    body, kind = form(*files)
    status, answer = service.predict(body, "?top=2", Content_Type=kind)
    assert status == 200
    assert [r["image"] for r in answer["results"]] == [name for name, _ in files]
    expected = Predictor(float32_file).predict(pictures, top=2)
    assert [[a["class"] for a in r["top"]] for r in answer["results"]] == [
        [a["class"] for a in row] for row in expected
    ]


def test_refusals(service, pictures):
    picture = pictures[0]
    bomb = png(np.zeros((1500, 1500), np.uint8))
    assert service.predict(b"hello")[0] == 400
    assert service.predict(b"")[0] == 400
    assert service.predict(picture[:200])[0] == 400
    status, answer = service.predict(bomb)
    assert (status, "2,000,000" in answer["error"]) == (413, True)
    status, answer = service.predict(b"\0" * (2**20 + 1))
    assert (status, "1048576" in answer["error"]) == (413, True)
    assert service.predict(picture, Content_Type="text/html")[0] == 415
    assert service.predict(picture, Content_Type="application/json")[0] == 415
    assert service.predict(picture, "?top=0")[0] == 400
    assert service.predict(picture, "?top=many")[0] == 400
    assert "heat maps" in service.predict(picture, "?heatmap=true")[1]["error"]
    body, kind = form(*[("a.png", picture)] * 17)
    assert service.predict(body, Content_Type=kind)[0] == 413
    body, kind = form(("a.png", picture), ("b.png", b"no image"))
    status, answer = service.predict(body, Content_Type=kind)
    assert (status, "b.png" in answer["error"]) == (400, True)
    assert service.predict(b"--b--", Content_Type="multipart/form-data; boundary=b")[0] == 400
    assert service.predict(b"x", Content_Type="multipart/form-data")[0] == 400
    assert service.request("GET", "/predict")[0] == 405
    assert service.request("GET", "/nothing")[0] == 404
    # After all that it answers.
    assert service.predict(picture)[0] == 200


def test_a_body_without_a_length(service, pictures):
    body = iter([pictures[0]])
    status, _, content = service.request("POST", "/predict", body, encode_chunked=True)
    assert status == 411
    assert "Content-Length" in json.loads(content)["error"]


def test_only_the_names_of_this_machine_are_answered(service, pictures):
    assert service.request("GET", "/health", headers={"Host": "localhost:99"})[0] == 200
    assert service.request("GET", "/health", headers={"Host": "evil.example"})[0] == 400
    assert service.request("POST", "/predict", pictures[0], {"Host": "evil.example"})[0] == 400


def test_no_other_site_may_read_answers(service, pictures):
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    status, given, _ = service.request("POST", "/predict", pictures[0], headers)
    assert status == 415
    headers = {"Origin": "https://evil.example"}
    _, given, _ = service.request("POST", "/predict", pictures[0], headers)
    assert not [name for name, _ in given if name.lower().startswith("access-control")]


def test_a_slow_client_is_cut_off(service):
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nx")
        answer = client.makefile("rb").readline()
    assert b" 408 " in answer


def test_what_is_no_http(service):
    for content in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", service.port), 30) as client:
            client.sendall(content)
            assert b"400" in client.makefile("rb").readline()


def test_health_metrics_and_description(service, pictures):
    status, _, content = service.request("GET", "/health")
    assert (status, json.loads(content)["status"]) == (200, "ok")
    before = count(service)
    for picture in pictures[:3]:
        service.predict(picture)
    assert count(service) == before + 3
    _, _, content = service.request("GET", "/openapi.json")
    paths = json.loads(content)["paths"]
    assert set(paths) == {"/predict", "/health", "/metrics"}
    assert list(paths["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]


def test_a_client_that_leaves_is_no_failure_of_the_service(service):
    before = count(service, 499)
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
    end = time.monotonic() + 30
    while count(service, 499) == before and time.monotonic() < end:
        time.sleep(0.05)
    assert count(service, 499) == before + 1
    assert count(service, 500) == 0


def test_the_description_of_the_api_is_a_page_without_other_servers(service):
    status, headers, content = service.request("GET", "/docs")
    assert status == 200
    for words in (b"POST /predict", b"?top=", b"413", b"GET /health", b"GET /metrics"):
        assert words in content
    assert f"http://127.0.0.1:{service.port}/predict".encode() in content
    assert "script-src 'none'" in dict(headers)["content-security-policy"]
    assert content.count(b"http") == content.count(f"http://127.0.0.1:{service.port}".encode())


def count(service, status=200):
    _, _, content = service.request("GET", "/metrics")
    found = re.search(rb'requests_total\{status="%d"\} ([\d.]+)' % status, content)
    return float(found.group(1)) if found else 0


def test_the_page_allows_its_own_script_only(service):
    status, headers, content = service.request("GET", "/")
    assert status == 200
    policy = dict(headers)["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert b"http://" not in content.replace(b"http://www.w3.org", b"")


def test_many_clients_get_their_own_answers(service, pictures, float32_file):
    expected = Predictor(float32_file).predict(pictures)
    wrong = []

    def client(first):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        for index in [(first + i) % len(pictures) for i in range(12)]:
            connection.request("POST", "/predict", pictures[index])
            top = json.loads(connection.getresponse().read())["results"][0]["top"]
            if [a["class"] for a in top[:2]] != [a["class"] for a in expected[index][:2]] or not (
                abs(top[0]["probability"] - expected[index][0]["probability"]) < 1e-4
            ):
                wrong.append(index)
        connection.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []


def test_a_stop_under_load_loses_no_request_that_was_accepted(float32_file, pictures):
    lost, done, late = [], [], []
    with Service(float32_file) as service:
        stopping = threading.Event()

        def client():
            while True:
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
                    connection.connect()
                except OSError:
                    return  # not accepted any more
                try:
                    connection.request("POST", "/predict", pictures[0])
                    answer = connection.getresponse()
                    ok = answer.status == 200 and json.loads(answer.read())["results"]
                    (done if ok else lost).append(answer.status)
                    if stopping.is_set():
                        late.append(1)
                except (OSError, http.client.HTTPException) as error:
                    lost.append(repr(error))
                finally:
                    connection.close()

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(done) < 50:
            time.sleep(0.05)
        stopping.set()
        code, err = service.stop()
        for thread in threads:
            thread.join(60)
    assert code == 0, err
    assert lost == []
    assert late
    assert "Traceback" not in err


def test_a_client_that_has_connected_may_send_its_request_after_the_stop(float32_file, pictures):
    """As one on a busy machine, that is not run for a second between the two."""
    request = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with Service(float32_file) as service:
        with socket.create_connection(("127.0.0.1", service.port), 60) as client:
            service.process.send_signal(signal.SIGTERM)
            while listens(service.port):
                time.sleep(0.05)
            time.sleep(1)
            client.sendall(request % len(pictures[0]) + pictures[0])
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.getheader("connection")) == (200, "close")
            assert json.loads(answer.read())["results"]
        assert service.process.wait(60) == 0


def test_a_client_that_never_sends_does_not_hold_up_a_stop(float32_file):
    with (
        Service(float32_file) as service,
        socket.create_connection(("127.0.0.1", service.port), 60) as client,
    ):
        assert service.stop() == (0, "")
        assert client.recv(1) == b""


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 60).close()
    except OSError:
        return False
    return True


def test_connections_in_the_queue_of_a_socket_are_taken_when_it_closes():
    from paddle_resnet.deploy.service.server import take_queued

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert take_queued(listener) == []
        clients = [socket.create_connection(listener.getsockname(), 60) for _ in range(3)]
        taken = take_queued(listener)
    for client, server in zip(clients, taken):
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        client.close()
        server.close()
    assert len(taken) == 3


def test_ctrl_c_stops_too(float32_file):
    with Service(float32_file) as service:
        service.process.send_signal(signal.SIGINT)
        service.process.communicate(timeout=60)
        assert service.process.returncode == 0


def test_a_full_queue_answers_503(float32_file, pictures):
    with Service(float32_file, "--max-waiting", "1", "--max-batch", "1") as service:
        body, kind = form(*[("a.png", pictures[0])] * 16)
        statuses = []

        def client():
            for _ in range(10):
                statuses.append(service.predict(body, Content_Type=kind)[0])

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert set(statuses) == {200, 503}
        assert service.predict(pictures[0])[0] == 200


def test_a_network_of_ours_is_served_too(pictures):
    with Service("resnet20") as service:
        status, answer = service.predict(pictures[0])
        assert (status, answer["results"][0]["top"][0]["class"]) == (200, "cat")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["{file}", "--port", "99999"], "--port"),
        (["{file}", "--threads", "0"], "--threads"),
        (["{file}", "--timeout", "-1"], "--timeout"),
        (["{file}", "--host", "no.such.host.invalid"], "cannot serve at no.such.host.invalid"),
        (["/no/such.onnx"], "there is no file"),
        (["resnet21"], "resnet20"),
        (["resnet20", "--runtime", "openvino"], "--runtime"),
    ],
)
def test_wrong_choices(line, words, float32_file, capsys):
    assert main(["serve", *[part.format(file=float32_file) for part in line]]) == 2
    assert words in capsys.readouterr().err


def test_a_port_in_use(float32_file, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", str(float32_file), "--port", port]) == 2
    assert "in use" in capsys.readouterr().err


def test_missing_packages_are_named(float32_file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve", str(float32_file)]) == 2
    assert "pip install fastapi" in capsys.readouterr().err


def test_random_requests_are_answered_or_refused(service):
    seen = fuzz(service, 200, seed=1)
    assert seen.get(200, 0) > 20
    assert seen.get(400, 0) > 20
