"""Mutated files for every reader: a result or an error of ours, soon, and within the memory."""

import io
import pickle
import random
import time
import tracemalloc
import zlib
from collections import Counter

import numpy as np
import pytest
from cifar_files import pack, pickled
from PIL import Image

from paddle_resnet.data.cifar import cifar100, formats, png_batches
from paddle_resnet.data.cifar import pickled_batches as reader
from paddle_resnet.data.folder.image_io import open_image
from paddle_resnet.data.folder.open_dataset import open_dataset
from paddle_resnet.errors import DataError

#: Nobody waits longer for a file of some kB, nor gives it more memory. An image may claim up to
#: 89 million pixels, which Pillow allocates outside of what Python counts.
SECONDS, MEMORY = 10.0, 150 * 2**20


def mutations(content, count, seed=0):
    """Yield changed copies: bytes, bits, numbers, cuts, repetitions, parts of itself moved."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            at = chance.randrange(len(data) + 1)
            length = chance.choice((1, 1, 2, 4, 8, 64))
            kind = chance.randrange(6)
            if kind == 0:
                data[at : at + length] = chance.randbytes(length)
            elif kind == 1 and at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            elif kind == 2:
                data[at : at + 4] = chance.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)))
            elif kind == 3:
                del data[at : at + chance.choice((1, 8, 256, len(data)))]
            elif kind == 4:
                data[at:at] = data[at : at + length] * chance.choice((1, 2, 100))
            else:
                begin = chance.randrange(len(data) + 1)
                data[at:at] = data[begin : begin + length]
        yield bytes(data)


def resealed(png):
    """Make the checksums of a PNG's chunks right again, so that what is inside gets looked at."""
    data, at = bytearray(png), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(data)


def run(read, contents):
    """Read each; return how it went. Whatever is neither a result nor a DataError comes through."""
    outcomes = Counter()
    tracemalloc.start()
    try:
        for content in contents:
            tracemalloc.reset_peak()
            before, began = tracemalloc.get_traced_memory()[0], time.process_time()
            said = ""
            try:
                read(content)
            except DataError as error:
                said = str(error)
            outcomes["told" if said else "read"] += 1
            assert "\n" not in said
            assert time.process_time() - began < SECONDS
            assert tracemalloc.get_traced_memory()[1] - before < MEMORY
    finally:
        tracemalloc.stop()
    return outcomes


def small_batch():
    images = np.arange(2 * 3072, dtype=np.uint32).astype(np.uint8)
    return pickled(images.reshape(2, 3, 32, 32), np.array([3, 7]))


def official(tmp_path):
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return pack(tmp_path / "c.tar.gz", {name: small_batch() for name in names}).read_bytes()


def through_a_file(path, read):
    def write_and_read(content):
        path.write_bytes(content)
        return read(path)

    return write_and_read


def readers(tmp_path):
    """Name -> (sound content, how it is read)."""
    hundred = {
        b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [1, 2], b"coarse_labels": [0, 0],
    }  # fmt: skip
    old = pickle.dumps(hundred, protocol=3)
    meta = pickle.dumps({b"fine_label_names": [b"x"] * 100}, protocol=3)
    png, jpeg, gif, tiff = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (3, 1024, 3), dtype=np.uint8)
    Image.fromarray(noise).save(png, "PNG")
    photo = Image.fromarray(noise.reshape(48, 64, 3))
    photo.save(jpeg, "JPEG", exif=Image.Exif())
    photo.quantize(16).save(gif, "GIF", transparency=3)
    photo.save(tiff, "TIFF", compression="tiff_lzw")
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir(exist_ok=True)
        photo.save(tmp_path / name / "1.png")
    listed = "path,label,split\ncat/1.png,cat,train\ndog/1.png,dog,train\ncat/1.png,cat,val\n"
    lines = "cat/1.png cat\ndog/1.png dog\n"

    def picture(path):
        return open_image(path, least=8)

    return {
        "CIFAR-10 batch": (small_batch(), reader.read_batch),
        "CIFAR-10 archive": (
            official(tmp_path),
            through_a_file(tmp_path / "f.tar.gz", formats.read),
        ),
        "CIFAR-10 tar": (
            pack(tmp_path / "c.tar", {"data_batch_1": small_batch()}, "w").read_bytes(),
            through_a_file(tmp_path / "f.tar", formats.read),
        ),
        "PNG batch": (png.getvalue(), png_batches.read_images),
        "JSON labels": (b"[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]", png_batches.read_labels),
        "CIFAR-100 batch": (old, lambda content: reader.read_batch(content, 100, "fine_labels")),
        "CIFAR-100 meta": (
            meta,
            lambda content: cifar100.decode({"meta": content, "train": old, "test": old}, "here"),
        ),
        "list, CSV": (listed.encode(), through_a_file(tmp_path / "f.csv", open_dataset)),
        "list, text": (lines.encode(), through_a_file(tmp_path / "f.txt", open_dataset)),
        "PNG": (png.getvalue(), through_a_file(tmp_path / "f.png", picture)),
        "PNG, resealed": (
            png.getvalue(),
            lambda content: through_a_file(tmp_path / "g.png", picture)(resealed(content)),
        ),
        "PNG batch, resealed": (
            png.getvalue(),
            lambda content: png_batches.read_images(resealed(content)),
        ),
        "JPEG": (jpeg.getvalue(), through_a_file(tmp_path / "f.jpg", picture)),
        "GIF": (gif.getvalue(), through_a_file(tmp_path / "f.gif", picture)),
        "TIFF": (tiff.getvalue(), through_a_file(tmp_path / "f.tif", picture)),
    }


NAMES = (
    "CIFAR-10 batch", "CIFAR-10 archive", "CIFAR-10 tar", "PNG batch", "JSON labels",
    "CIFAR-100 batch", "CIFAR-100 meta", "list, CSV", "list, text", "PNG", "JPEG", "GIF", "TIFF",
    "PNG, resealed", "PNG batch, resealed",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_are_read_or_told(tmp_path, name):
    content, read = readers(tmp_path)[name]
    outcomes = run(read, mutations(content, 100))
    assert outcomes["told"] > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_mutated_files_are_read_or_told(tmp_path, name, capsys):
    content, read = readers(tmp_path)[name]
    outcomes = run(read, mutations(content, 5000, seed=1))
    assert sum(outcomes.values()) == 5000
    with capsys.disabled():
        print(f"\n{name}: 5,000 mutated, {outcomes['told']:,} told, {outcomes['read']:,} read")


def test_the_sound_contents_are_read(tmp_path):
    table = readers(tmp_path)
    assert set(table) == set(NAMES)
    for name, (content, read) in table.items():
        if name != "CIFAR-10 tar":
            assert read(content) is not None


WORDS = ("train", "val", "valid", "test", "cat", "dog", "10", "9", ".git", "__MACOSX", "犬", "a b")


def grow(folder, chance, depth=0):
    """Make a random tree of folders, images, other files and links."""
    for _ in range(chance.choice((0, 1, 2, 3, 5))):
        path = folder / chance.choice(WORDS)
        kind = chance.randrange(8)
        if path.exists() or path.is_symlink():
            continue
        if kind < 4 and depth < 3:
            path.mkdir()
            grow(path, chance, depth + 1)
        elif kind == 4:
            path.symlink_to(chance.choice((folder, folder.parent, folder / "nowhere", "..")))
        else:
            path.with_suffix(chance.choice((".jpg", ".PNG", ".txt", ".csv", ""))).write_bytes(b"x")


def check_trees(tmp_path, count, seed):
    outcomes = Counter()
    for number in range(count):
        root = tmp_path / f"trees-{seed}" / str(number) / "root"
        root.mkdir(parents=True)
        grow(root, random.Random(f"{seed}-{number}"))
        said = ""
        try:
            listing = open_dataset(root)
        except DataError as error:
            said = str(error)
        outcomes["told" if said else "read"] += 1
        assert "\n" not in said
        if not said:
            assert len(set(listing.classes)) == len(listing.classes) >= 2
            for part in listing.splits.values():
                assert len(part.paths) == len(part.labels) > 0
                for path, label in zip(part.paths, part.labels):
                    assert path.is_file()
                    inside = path.relative_to(root).parts
                    assert listing.classes[label] in inside[:-1]
    return outcomes


def test_folders_of_any_shape_are_read_or_told(tmp_path):
    outcomes = check_trees(tmp_path, 300, seed=0)
    assert outcomes["read"] > 10
    assert outcomes["told"] > 100


@pytest.mark.slow
def test_thousands_of_folders_are_read_or_told(tmp_path, capsys):
    outcomes = check_trees(tmp_path, 5000, seed=1)
    with capsys.disabled():
        print(f"\nfolders: 5,000 trees, {outcomes['told']:,} told, {outcomes['read']:,} read")
