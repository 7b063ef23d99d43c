"""The operator is built once for all tests; without a compiler these tests have nothing to test."""

import pytest

from paddle_resnet import kernels
from paddle_resnet.kernels import build


@pytest.fixture(scope="session", autouse=True)
def operator():
    """The library of the operator."""
    with kernels.use("auto"):
        loaded = build.library()
    if loaded is None:
        pytest.skip("the CPU operator cannot be built here")
    return loaded
