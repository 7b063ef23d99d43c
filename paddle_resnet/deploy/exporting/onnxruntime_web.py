"""ONNX Runtime's build for browsers: fetched once from npm, checked, and kept in the cache."""

from __future__ import annotations

import base64
import gzip
import hashlib
import tarfile
import tempfile
from pathlib import Path
from typing import Callable, NamedTuple

from ...errors import DeployError
from ...io.atomic_files import atomic_write_bytes, cache_folder
from ...io.npm_package import fetch_package

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
#: SHA-512 of the archive, as the registry publishes it.
_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
#: The two files that a page needs, and where they are in the archive.
_FILES = {
    "ort.mjs": "package/dist/ort.wasm.bundle.min.mjs",
    "ort.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
LICENSE = """\
ONNX Runtime Web

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE."""


class WebRuntime(NamedTuple):
    """What a page needs of ONNX Runtime."""

    #: The JavaScript module.
    script: str
    #: The WebAssembly, packed by gzip.
    wasm: bytes


def web_runtime(log: Callable[[str], None]) -> WebRuntime:
    """Return the runtime, from the cache or from npm (33 MB, once).

    Raises:
        DeployError: it is not in the cache, and npm is missing or cannot reach its registry.
    """
    folder = cache_folder() / "web" / f"onnxruntime-web-{VERSION}"
    kept = _kept(folder)
    if kept is None:
        kept = _fetched(folder, log)
    return kept


def _kept(folder: Path) -> WebRuntime | None:
    """Return what is in the cache, None where it is not whole."""
    try:
        script, wasm = (folder / "ort.mjs").read_bytes(), (folder / "ort.wasm.gz").read_bytes()
        sums = (folder / "sha256").read_text(encoding="ascii").split()
    except OSError:
        return None
    if sums != [hashlib.sha256(content).hexdigest() for content in (script, wasm)]:
        return None
    return WebRuntime(script.decode("utf-8"), wasm)


def _fetched(folder: Path, log: Callable[[str], None]) -> WebRuntime:
    try:
        with tempfile.TemporaryDirectory(prefix="paddle_resnet_") as name:
            announce = f"Fetching {PACKAGE} from npm (33 MB, once)"
            archive = fetch_package(PACKAGE, Path(name), 15, 900, log, announce)
            digest = hashlib.sha512(archive.read_bytes()).digest()
            if base64.b64encode(digest).decode("ascii") != _SHA512:
                raise OSError("the archive is not the published one.")
            with tarfile.open(archive) as tar:
                script, wasm = (tar.extractfile(inside).read() for inside in _FILES.values())
    except OSError as error:
        raise DeployError(
            f"--format web needs {PACKAGE}, which could not be fetched: {error}"
        ) from None
    packed = gzip.compress(wasm, 9, mtime=0)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(folder / "ort.mjs", script)
    atomic_write_bytes(folder / "ort.wasm.gz", packed)
    sums = " ".join(hashlib.sha256(content).hexdigest() for content in (script, packed))
    atomic_write_bytes(folder / "sha256", sums.encode("ascii"))
    return WebRuntime(script.decode("utf-8"), packed)
