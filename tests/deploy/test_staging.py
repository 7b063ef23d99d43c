"""The folder of an export: whole, whoever else writes into it."""

import os
import threading

import pytest
from paddle import nn

from paddle_resnet import export
from paddle_resnet.deploy.exporting import staging as staging_module
from paddle_resnet.deploy.exporting.staging import publish, staging
from paddle_resnet.errors import DeployError


def test_a_staged_folder_is_published_whole_and_keeps_what_is_there(tmp_path):
    out = tmp_path / "a" / "out"
    with staging(out) as (staged, scratch):
        (staged / "new").write_text("1")
        (scratch / "rest").write_text("2")
        assert not out.exists()
        assert publish(staged, out) == [out / "new"]
    (out / "mine").write_text("3")
    with staging(out) as (staged, _):
        (staged / "new").write_text("4")
        publish(staged, out)
    assert {p.name: p.read_text() for p in out.iterdir()} == {"new": "4", "mine": "3"}
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    with pytest.raises(ZeroDivisionError), staging(tmp_path / "b" / "c") as _:
        raise ZeroDivisionError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_a_link_to_a_folder_is_written_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with staging(tmp_path / "link") as (staged, _):
        # The file system of the folder, which may be another than that of the link.
        assert staged.resolve().is_relative_to(tmp_path / "real")
        (staged / "new").write_text("1")
        publish(staged, tmp_path / "link")
    assert [p.name for p in (tmp_path / "real").iterdir()] == ["new"]


def test_a_link_that_leads_nowhere(tmp_path):
    facts = {"classes": ["a", "b", "c"], "input_shape": [3, 16, 16]}
    for name, target in (("nowhere", "none"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(DeployError, match="is a link that leads nowhere"):
            export(nn.Identity(), tmp_path / name, **facts)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["loop", "nowhere"]


def test_files_of_two_exports_are_not_mixed(tmp_path, monkeypatch):
    """Program and weights of a Paddle folder belong together."""
    out = tmp_path / "out"
    out.mkdir()
    halfway, goes_on = threading.Event(), threading.Event()
    real = os.replace

    def pause(source, target):
        real(source, target)
        if threading.current_thread().name == "slow" and not halfway.is_set():
            halfway.set()
            goes_on.wait(30)

    def write(text):
        with staging(out) as (staged, _):
            for name in "abc":
                (staged / name).write_text(text)
            publish(staged, out)

    monkeypatch.setattr(os, "replace", pause)
    slow = threading.Thread(target=write, args=["slow"], name="slow")
    fast = threading.Thread(target=write, args=["fast"], name="fast")
    slow.start()
    assert halfway.wait(30)
    fast.start()
    fast.join(0.5)
    goes_on.set()
    slow.join(30)
    fast.join(30)
    assert [(out / name).read_text() for name in "abc"] == ["fast"] * 3


def test_an_export_does_not_wait_for_ever_for_another(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(staging_module, "LOCK_SECONDS", 0.2)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with (
            pytest.raises(DeployError, match="another export writes into"),
            staging(tmp_path / "out") as (staged, _),
        ):
            publish(staged, tmp_path / "out")
    finally:
        os.close(handle)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_where_a_file_belongs(tmp_path):
    out = tmp_path / "out"
    (out / "b").mkdir(parents=True)
    with staging(out) as (staged, _):
        (staged / "a").write_text("1")
        (staged / "b").write_text("2")
        with pytest.raises(DeployError, match="b' is a folder, where"):
            publish(staged, out)
    assert [p.name for p in out.iterdir()] == ["b"]


def test_a_folder_with_the_longest_name(tmp_path):
    out = tmp_path / ("x" * 255)
    with staging(out) as (staged, _):
        (staged / "a").write_text("1")
        publish(staged, out)
    assert [p.name for p in out.iterdir()] == ["a"]
