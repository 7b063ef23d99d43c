import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cifar_files import same

from paddle_resnet.data.cifar import cache_file
from paddle_resnet.errors import DataError


def test_what_is_written_is_read(tmp_path, sample):
    path = tmp_path / "new" / "folder" / cache_file.NAME
    cache_file.write(path, sample)
    assert same(cache_file.read(path), sample)
    assert [file.name for file in path.parent.iterdir()] == [cache_file.NAME]


def test_a_truncated_file_is_refused(tmp_path, sample):
    path = tmp_path / cache_file.NAME
    cache_file.write(path, sample)
    content = path.read_bytes()
    for length in (0, 5, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="is corrupt"):
            cache_file.read(path)


def test_pickled_objects_are_refused(tmp_path):
    path = tmp_path / cache_file.NAME
    with path.open("wb") as file:
        np.save(file, np.array([print], object), allow_pickle=True)
    with pytest.raises(DataError, match="is corrupt"):
        cache_file.read(path)


def test_the_place_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/users/me")
    for variable in ("PADDLE_RESNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_file.cache_path().as_posix() == "/users/me/.cache/paddle_resnet/cifar10.npy"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_file.cache_path().as_posix() == "/xdg/paddle_resnet/cifar10.npy"
    monkeypatch.setenv("PADDLE_RESNET_CACHE", "~/mine")
    assert cache_file.cache_path().as_posix() == "/users/me/mine/cifar10.npy"


HOMELESS = """
import os
from paddle_resnet.data.cifar import cache_file
from paddle_resnet.data.cifar.sources.disk import from_paddle_cache
os.setuid(54321)
print(cache_file.cache_path())
try:
    from_paddle_cache(print)
except OSError:
    print("not there")
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes nobody")
def test_a_user_without_a_home_has_a_cache_all_the_same():
    """As in a container that is started with a number for its user."""
    environment = {name: os.environ[name] for name in os.environ if name != "HOME"}
    for variable in ("PADDLE_RESNET_CACHE", "XDG_CACHE_HOME"):
        environment.pop(variable, None)
    told = subprocess.run(
        [sys.executable, "-c", HOMELESS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    there = Path(tempfile.gettempdir()) / "paddle_resnet-54321" / "cifar10.npy"
    assert told.stdout.splitlines() == [str(there), "not there"]


WRITE_AND_READ = """
import sys
from pathlib import Path
from paddle_resnet.data.cifar import sample as bundled, cache_file
from paddle_resnet.data.cifar.fingerprint import verify
sample = bundled.load_sample()
for _ in range(5):
    cache_file.write(Path(sys.argv[1]), sample)
    verify(cache_file.read(Path(sys.argv[1])), bundled.SAMPLE)
"""


def test_two_processes_at_once_never_see_a_part(tmp_path):
    path = tmp_path / cache_file.NAME
    processes = [subprocess.Popen([sys.executable, "-c", WRITE_AND_READ, path]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == [cache_file.NAME]
