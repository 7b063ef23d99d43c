"""One export of each kind, of the package's own network, for all tests of this folder."""

import importlib.util

import pytest

from paddle_resnet.data import load_cifar10

NEEDED = ("onnx", "onnxruntime", "ml_dtypes", "paddle2onnx")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="session")
def onnx_extra():
    """Skip where files cannot be exported to ONNX."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="session")
def cifar():
    return load_cifar10("sample")


@pytest.fixture(scope="session")
def exports(tmp_path_factory, onnx_extra):
    """A folder with resnet20.onnx and resnet20.int8.onnx."""
    from paddle_resnet import export

    folder = tmp_path_factory.mktemp("exports") / "resnet20"
    for precision in ("float32", "int8"):
        export("resnet20", folder, precision=precision, data="sample", log=lambda line: None)
    return folder


@pytest.fixture(scope="session")
def float32_file(exports):
    return exports / "resnet20.onnx"


@pytest.fixture(scope="session")
def int8_file(exports):
    return exports / "resnet20.int8.onnx"


@pytest.fixture(scope="session")
def paddle_folder(tmp_path_factory):
    from paddle_resnet import export

    folder = tmp_path_factory.mktemp("paddle") / "resnet20"
    export("resnet20", folder, format="paddle", data="sample", log=lambda line: None)
    return folder
