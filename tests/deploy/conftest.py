"""One export of each kind, of the package's own network, for all tests of this folder."""

import importlib.util
import sys
from unittest import mock

import pytest

from paddle_resnet.data import load_cifar10

NEEDED = ("onnx", "onnxruntime", "ml_dtypes", "paddle2onnx")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="session")
def onnx_extra():
    """Skip where files cannot be exported to ONNX."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")


@pytest.fixture(autouse=True)
def _warm(warm_children):
    """An export starts two processes."""


@pytest.fixture(scope="session")
def cifar():
    return load_cifar10("sample")


@pytest.fixture(scope="session")
def exports(made_once, onnx_extra, warm_python):
    """A folder with resnet20.onnx and resnet20.int8.onnx."""

    def make(folder):
        from paddle_resnet import export

        quiet = {"data": "sample", "log": lambda line: None}
        with mock.patch.object(sys, "executable", warm_python):
            for precision in ("float32", "int8"):
                export("resnet20", folder / "resnet20", precision=precision, **quiet)

    return made_once("exports", make) / "resnet20"


@pytest.fixture(scope="session")
def float32_file(exports):
    return exports / "resnet20.onnx"


@pytest.fixture(scope="session")
def int8_file(exports):
    return exports / "resnet20.int8.onnx"


@pytest.fixture(scope="session")
def paddle_folder(made_once, warm_python):
    def make(folder):
        from paddle_resnet import export

        quiet = {"data": "sample", "log": lambda line: None}
        with mock.patch.object(sys, "executable", warm_python):
            export("resnet20", folder / "resnet20", format="paddle", **quiet)

    return made_once("paddle_folder", make) / "resnet20"
