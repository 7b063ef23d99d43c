"""CIFAR-100's reader, on files of the official form with real pixels (those of the sample)."""

import hashlib
import pickle

import numpy as np
import pytest
from cifar_files import pack

from paddle_resnet.cli import main
from paddle_resnet.data.channel_stats import mean_and_std
from paddle_resnet.data.cifar import cifar100
from paddle_resnet.data.cifar.sources import disk
from paddle_resnet.errors import DataError


def official(images, fine, coarse):
    """Keys and names as bytes, which is how Python 2's text reads."""
    batch = {
        b"data": images.reshape(len(images), -1),
        b"fine_labels": fine.tolist(),
        b"coarse_labels": coarse.tolist(),
        b"filenames": [f"{i}.png".encode() for i in range(len(images))],
        b"batch_label": b"training batch 1 of 1",
    }
    return pickle.dumps(batch, protocol=3)


@pytest.fixture(scope="session")
def members(sample):
    fine = np.arange(500) % 100
    meta = {
        b"fine_label_names": [f"fine {i}".encode() for i in range(100)],
        b"coarse_label_names": [f"coarse {i}".encode() for i in range(20)],
    }
    return {
        "train": official(sample.train_images[:500], fine, fine // 5),
        "test": official(sample.test_images[:100], fine[:100], fine[:100] // 5),
        "meta": pickle.dumps(meta, protocol=3),
    }


@pytest.fixture
def known(monkeypatch, members):
    """Let these files pass for the official ones."""
    digests = {name: hashlib.md5(content).hexdigest() for name, content in members.items()}
    monkeypatch.setattr(cifar100, "MD5", digests)


@pytest.fixture
def archive(tmp_path, members):
    inside = {f"cifar-100-python/{name}": content for name, content in members.items()}
    inside["cifar-100-python/file.txt~"] = b""
    return pack(tmp_path / "cifar-100-python.tar.gz", inside)


def test_the_official_archive_and_its_folder_read(tmp_path, archive, members, known, alone, sample):
    folder = tmp_path / "there" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name, content in members.items():
        (folder / name).write_bytes(content)
    for root in (archive, tmp_path, folder, folder.parent):
        data = cifar100.load_cifar100(root, notify=pytest.fail)
        assert np.array_equal(data.train_images, sample.train_images[:500])
        assert np.array_equal(data.test_images, sample.test_images[:100])
        assert data.train_labels.tolist() == [i % 100 for i in range(500)]
        assert data.train_labels.dtype == data.test_labels.dtype == np.int64
        assert data.classes[99] == "fine 99"
        assert data.source == f"the given {root.name}"


def test_the_superclasses(archive, known, alone):
    data = cifar100.load_cifar100(archive, coarse=True)
    assert len(data.classes) == 20
    assert data.train_labels.tolist() == [i % 100 // 5 for i in range(500)]


def test_the_official_checksums_refuse_anything_else(archive, alone):
    with pytest.raises(DataError, match=r"train in .* is corrupt or was changed: its md5 is"):
        cifar100.load_cifar100(archive)


def test_a_copy_is_kept_and_checked_each_time(archive, known, alone, capsys):
    assert main(["data", "cifar100", "--from", str(archive)]) == 0
    out = capsys.readouterr().out
    assert "CIFAR-100 from the given cifar-100-python.tar.gz: verified, written to" in out
    assert "500 training and 100 test images" in out
    assert cifar100.load_cifar100(download=False).source == "the verified copy in the cache"
    (alone / "cifar-100-python" / "test").write_bytes(b"corrupt")
    said = []
    with pytest.raises(DataError, match="CIFAR-100 was not found"):
        cifar100.load_cifar100(download=False, notify=said.append)
    assert "test in" in said[0]
    assert "is corrupt" in said[0]


def test_paddles_cache_and_ai_studio_are_looked_into(archive, known, alone, tmp_path):
    mounted = disk.AI_STUDIO / "data7"
    mounted.mkdir(parents=True)
    (mounted / archive.name).write_bytes(archive.read_bytes())
    data = cifar100.load_cifar100(download=False)
    assert data.source == "AI Studio's mounted data"
    for path in (alone / "cifar-100-python").iterdir():
        path.unlink()
    paddles = tmp_path / "home" / ".cache" / "paddle" / "dataset" / "cifar"
    paddles.mkdir(parents=True)
    archive.rename(paddles / archive.name)
    assert cifar100.load_cifar100(download=False).source == "Paddle's dataset cache"


def test_where_there_is_nothing_the_user_is_told_what_to_get(alone):
    with pytest.raises(DataError, match=r"Get the official cifar-100-python\.tar\.gz and name it"):
        cifar100.load_cifar100(download=False)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train", {b"fine_labels": [100] * 500}, "'fine_labels' is no list of labels"),
        ("test", {b"data": np.zeros((100, 3072), np.int16)}, r"not uint8 \[100, 3072\]"),
        ("meta", {b"fine_label_names": [b"a"]}, "names 1 classes, not 100"),
        ("meta", {b"fine_label_names": 7}, "is no list of names"),
    ],
)
def test_contents_that_make_no_sense_are_told(members, name, change, message):
    changed = {**pickle.loads(members[name], encoding="bytes"), **change}
    with pytest.raises(DataError, match=f"{name} of CIFAR-100 was refused: .*{message}"):
        cifar100.decode({**members, name: pickle.dumps(changed, protocol=3)}, "here")


def test_statistics_are_those_of_numpy(sample):
    for images in (sample.train_images, sample.test_images[:1, :1]):
        mean, std = mean_and_std(images)
        plain = images.astype(np.float64) / 255
        np.testing.assert_allclose(mean, plain.mean((0, 2, 3)), rtol=1e-12)
        np.testing.assert_allclose(std, plain.std((0, 2, 3)), rtol=1e-9)
