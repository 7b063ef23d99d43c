"""Make and compare the files in which CIFAR-10 comes, for the tests."""

import io
import pickle
import tarfile

import numpy as np


def pickled(images, labels):
    batch = {b"data": images.reshape(len(images), -1), b"labels": labels.tolist()}
    return pickle.dumps(batch, protocol=3)


def pack(path, members, mode="w:gz"):
    """Write a tar; a member is bytes, or a TarInfo that is taken as it is."""
    options = {"compresslevel": 1} if mode == "w:gz" else {}
    with tarfile.open(path, mode, **options) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def same(one, other):
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other))
