"""Real images for the tests of data/: the bundled sample, also packed as the official archive."""

import functools
import os

import numpy as np
import pytest
from cifar_files import pack, pickled

from paddle_resnet.data.cifar import cifar10
from paddle_resnet.data.cifar import sample as bundled
from paddle_resnet.data.cifar.fingerprint import Arrays, verify
from paddle_resnet.data.cifar.sources import disk


@pytest.fixture(scope="session")
def sample() -> Arrays:
    return bundled.load_sample()


@pytest.fixture(scope="session")
def batches(sample):
    """The sample's bytes under the names of the official batches."""
    parts = [
        *zip(np.split(sample.train_images, 5), np.split(sample.train_labels, 5)),
        (sample.test_images, sample.test_labels),
    ]
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {name: pickled(*part) for name, part in zip(names, parts)}


@pytest.fixture(scope="session")
def official(tmp_path_factory, batches):
    """The sample as a file like cifar-10-python.tar.gz, other files included."""
    members = {f"cifar-10-batches-py/{name}": content for name, content in batches.items()}
    members["cifar-10-batches-py/readme.html"] = b"<html>"
    return pack(tmp_path_factory.mktemp("official") / "cifar-10-python.tar.gz", members)


@pytest.fixture
def open_to_all(tmp_path):
    """tmp_path, made so that other users can enter it; pytest makes its folders for one user."""
    made_by_pytest = ("pytest", "popen", "test")  # popen-gw0: the folder of an xdist worker
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder.name.startswith(made_by_pytest):
            folder.chmod(0o755)
    return tmp_path


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A machine without any copy of CIFAR-10; returns its cache folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PADDLE_RESNET_DATA", raising=False)
    monkeypatch.setattr(disk, "AI_STUDIO", tmp_path / "aistudio")
    return tmp_path / "cache"


@pytest.fixture
def sample_passes_as_full(monkeypatch):
    """Let the search accept the sample's fingerprint, so that it can be tested in milliseconds."""
    monkeypatch.setattr(cifar10, "verify", functools.partial(verify, expected=bundled.SAMPLE))


@pytest.fixture(scope="session")
def full():
    return cifar10.load_cifar10(allow_sample=False, download=False)
