"""A network of ours behind the service: its own answers, and heat maps."""

import base64
import io
import json

import numpy as np
import paddle
import pytest
from export_helpers import network_logits
from PIL import Image
from service_process import Service

from paddle_resnet import create_model, heatmap

pytest.importorskip("fastapi", reason="needs the extra [serve]")
from paddle_resnet.deploy.service.network_backend import network_backend
from paddle_resnet.deploy.source import open_source

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


@pytest.fixture(params=["NCHW", "NHWC"])
def source(request):
    paddle.seed(0)
    options = {"layers": (1, 1, 1), "widths": (4, 8, 8), "data_format": request.param}
    network = create_model("resnet20", num_classes=3, **options)
    facts = {"classes": ["a", "b", "c"], "input_shape": [3, 16, 16], "mean": MEAN, "std": STD}
    return open_source(network, **facts)


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, (2, 3, 16, 16)).astype(np.uint8)


def test_probabilities_are_the_networks_own_in_either_layout(source, images):
    logits = network_logits(source.trained.network, images, MEAN, STD)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(
        network_backend(source, print).probabilities(images), expected, rtol=1e-4
    )


def test_heat_maps_of_the_service_are_those_of_the_package(source, images):
    x = ((images / 255.0 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))).astype("f4")
    if source.trained.network.data_format == "NHWC":
        x = x.transpose(0, 2, 3, 1)
    expected = heatmap(source.trained.network, x)
    np.testing.assert_allclose(network_backend(source, print).heatmap(images), expected, atol=1e-3)


def test_heat_maps_are_described_and_answered(cifar):
    with Service("resnet20") as service, io.BytesIO() as file:
        Image.fromarray(cifar.test_images[0].transpose(1, 2, 0)).save(file, "PNG")
        _, _, health = service.request("GET", "/health")
        _, _, description = service.request("GET", "/openapi.json")
        status, answer = service.predict(file.getvalue(), "?heatmap=true")
        _, plain = service.predict(file.getvalue())
    assert json.loads(health)["heatmap"] is True
    parameters = json.loads(description)["paths"]["/predict"]["post"]["parameters"]
    (schema,) = (each["schema"] for each in parameters if each["name"] == "heatmap")
    assert "enum" not in schema
    assert status == 200
    (result,) = answer["results"]
    kind, _, content = result["heatmap"].partition(",")
    assert kind == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert image.size == (224, 224)
    assert len(image.getcolors(224**2)) > 100
    assert plain["results"][0]["top"] == result["top"]
    assert "heatmap" not in plain["results"][0]


def test_a_network_of_others_has_no_heat_maps():
    class Other(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.fc = paddle.nn.Linear(3 * 8 * 8, 2)

        def forward(self, x):
            return self.fc(x.flatten(1))

    source = open_source(Other(), classes=["a", "b"], input_shape=[3, 8, 8])
    backend = network_backend(source, print)
    assert backend.heatmap is None
    assert backend.probabilities(np.zeros((1, 3, 8, 8), np.uint8)).shape == (1, 2)
