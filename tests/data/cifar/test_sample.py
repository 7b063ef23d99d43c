import shutil

import numpy as np
import pytest
from sample_maker import make_sample, sample_indices

from paddle_resnet.data.cifar import sample as bundled
from paddle_resnet.errors import DataError


def test_the_sample_is_balanced_and_small(sample):
    assert sample.train_images.shape == (2000, 3, 32, 32)
    assert sample.test_images.shape == (500, 3, 32, 32)
    assert np.bincount(sample.train_labels).tolist() == [200] * 10
    assert np.bincount(sample.test_labels).tolist() == [50] * 10
    assert sum(file.stat().st_size for file in bundled.FOLDER.iterdir()) < 6e6


def test_the_indices_are_distinct_and_in_order():
    for indices, count in zip(sample_indices(), (2000, 500)):
        assert len(indices) == count
        assert (np.diff(indices) > 0).all()


def test_a_corrupt_sample_is_an_error(tmp_path, monkeypatch):
    folder = tmp_path / "sample"
    shutil.copytree(bundled.FOLDER, folder)
    monkeypatch.setattr(bundled, "FOLDER", folder)
    bundled.load_sample()
    shutil.copy(folder / "test.png", folder / "train.png")
    with pytest.raises(DataError, match=r"sample inside the package is corrupt .*train_images"):
        bundled.load_sample()
    (folder / "train.png").unlink()
    with pytest.raises(DataError, match="sample inside the package is corrupt"):
        bundled.load_sample()


@pytest.mark.full
def test_each_image_is_the_very_image_of_the_full_set(sample, full):
    train, test = sample_indices()
    assert np.array_equal(sample.train_images, full.train_images[train])
    assert np.array_equal(sample.train_labels, full.train_labels[train])
    assert np.array_equal(sample.test_images, full.test_images[test])
    assert np.array_equal(sample.test_labels, full.test_labels[test])


@pytest.mark.full
def test_the_sample_can_be_made_again(tmp_path, full, monkeypatch):
    make_sample(full, tmp_path)
    shipped = (bundled.FOLDER / "sample.json").read_text()
    assert (tmp_path / "sample.json").read_text() == shipped
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    bundled.load_sample()
