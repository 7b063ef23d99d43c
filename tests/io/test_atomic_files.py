import json
import os
import stat
import subprocess
import sys

import pytest

from paddle_resnet.io.atomic_files import (
    atomic_write,
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
)


def test_new_and_old_files_are_replaced(tmp_path):
    path = tmp_path / "file"
    atomic_write_bytes(path, b"one")
    atomic_write_text(str(path), "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    atomic_write_json(path, {"drei": [3, "ü"]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"drei": [3, "ü"]}
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway():
        with atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        fail_halfway()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_missing_or_impossible_folder_is_an_oserror(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "absent" / "x", tmp_path / "file" / "x"):
        with pytest.raises(OSError, match=r"absent|file"):
            atomic_write_bytes(path, b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        atomic_write_bytes(tmp_path / "folder", b"")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


FILL = """
import resource, signal, sys
from paddle_resnet.io.atomic_files import atomic_write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    atomic_write_bytes(sys.argv[1], bytes(10**6))
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_no_room_is_an_oserror_and_leaves_nothing(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path / "file"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert told == "File too large\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")
def test_the_mode_follows_the_umask_and_links_are_written_through(tmp_path):
    before = os.umask(0o022)
    try:
        atomic_write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    (tmp_path / "link").symlink_to(tmp_path / "file")
    atomic_write_bytes(tmp_path / "link", b"y")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"y"


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic_write_json(tmp_path / "file", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_content_and_name_are_on_the_disk_when_it_returns(tmp_path, monkeypatch):
    """The file is synchronized before the rename, its folder after it."""
    events = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        events.append((kind, os.fstat(handle).st_size if kind == "file" else None))
        fsync(handle)

    def noted_replace(source, target):
        events.append(("rename", os.path.basename(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with atomic_write(tmp_path / "weights") as file:
        file.write(b"12345")
    assert events == [("file", 5), ("rename", "weights"), ("folder", None)]
