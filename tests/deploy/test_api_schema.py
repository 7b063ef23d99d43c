"""The service's description is true, and requests by another name are refused in its own words."""

import json

import pytest
from service_process import Service

pytest.importorskip("fastapi", reason="needs the extra [serve]")
from paddle_resnet.cli import main
from paddle_resnet.deploy.service.known_hosts import check_patterns, host_name
from paddle_resnet.errors import DeployError


@pytest.fixture(scope="module")
def service(float32_file):
    with Service(float32_file, "--allowed-host", "*.example.com", "--allowed-host", "a.b") as it:
        yield it


def described(service):
    _, _, content = service.request("GET", "/openapi.json", headers={"Host": "a.b"})
    return json.loads(content)


def test_every_status_is_described_and_no_other(service):
    found = {path: set(methods) for path, methods in described(service)["paths"].items()}
    assert found == {"/predict": {"post"}, "/health": {"get"}, "/metrics": {"get"}}
    paths = described(service)["paths"]
    statuses = {path: set(next(iter(m.values()))["responses"]) for path, m in paths.items()}
    assert statuses == {
        "/predict": {"200", "400", "408", "411", "413", "415", "500", "503"},
        "/health": {"200", "400", "503"},
        "/metrics": {"200", "400"},
    }


def test_health_is_described_by_what_it_answers(service):
    schema = described(service)["components"]["schemas"]["Health"]
    status, _, content = service.request("GET", "/health", headers={"Host": "a.b"})
    assert status == 200
    assert set(json.loads(content)) == set(schema["properties"]) == set(schema["required"])


def test_heat_maps_cannot_be_asked_of_an_exported_file(service):
    parameters = described(service)["paths"]["/predict"]["post"]["parameters"]
    (schema,) = (each["schema"] for each in parameters if each["name"] == "heatmap")
    assert schema["enum"] == [False]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("a.b", 200),
        ("A.B:99", 200),
        ("www.example.com", 200),
        ("example.com", 400),
        ("evil-example.com", 400),
        ("a.b.evil", 400),
        ("localhost", 400),
        ("", 400),
    ],
)
def test_requests_by_another_name_are_refused_in_json(service, host, status):
    found, _, content = service.request("GET", "/health", headers={"Host": host})
    assert found == status
    if status == 400:
        assert f"does not answer to the host '{host}'" in json.loads(content)["error"]


def test_names_of_hosts():
    for given, name in (
        ("localhost:8000", "localhost"),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("X.Y", "x.y"),
        ("", ""),
    ):
        assert host_name(given) == name
    check_patterns(["*", "a", "*.a.b", "[::1]"])


@pytest.mark.parametrize("pattern", ["ex*.com", "*a", "", "*.", "http://a.b", "a b", "a,b", "a\0"])
def test_what_is_no_name_of_a_host(pattern, float32_file, capsys):
    """Starlette asserted that it is one when the service had started; each request failed then."""
    with pytest.raises(DeployError, match="--allowed-host"):
        check_patterns([pattern])
    if pattern == "ex*.com":
        assert main(["serve", str(float32_file), "--port", "0", "--allowed-host", pattern]) == 2
        assert "--allowed-host is 'ex*.com'" in capsys.readouterr().err
