"""Pretrained weights by name: ours inside the package, and those that Paddle publishes."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

from paddle import nn

from ..errors import WeightsError, did_you_mean
from ..io.atomic_files import atomic_write, cache_folder
from ..io.downloads import TIMEOUT, fetch
from .load_report import LoadReport
from .save_load import load_weights

#: Of the networks inside the package, trained on CIFAR-10: a file each, as its run wrote it;
#: README.md there says which command that was.
FOLDER = Path(__file__).parent / "cifar10"

#: In front of a network's name: its weights, whatever files and folders are called.
BY_NAME = "pretrained:"

#: The largest of Paddle's has 460 MB.
_SIZE_LIMIT = 2**30


def bundled_weights() -> dict[str, Path]:
    """Return the names of the networks whose weights are in the package, and the files."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


def published() -> dict[str, tuple[str, str]]:
    """Return Paddle's own table: the name of a network to (address, md5 of the file)."""
    # By its full name: `paddle.vision.models` has functions that hide modules of the same name.
    return dict(importlib.import_module("paddle.vision.models.resnet").model_urls)


def load_pretrained(network: nn.Layer, name: str, timeout: float = TIMEOUT) -> LoadReport:
    """Load the weights inside the package, trained on CIFAR-10, or those that Paddle publishes,
    trained on ImageNet.

    Another number of classes leaves the network's new head as it is, another number of input
    channels adapts the first convolution; all else must match.

    Args:
        network: with the layers of our network of that name.
        name: such as ``resnet20`` (CIFAR-10, no download) or ``resnet50`` (ImageNet).
        timeout: in seconds, for the server's answer.

    Raises:
        WeightsError: there are none of that name, they could not be downloaded, or they do not fit
            the network, such as one with the CIFAR stem.
    """
    return load_weights(network, fetch_pretrained(name, timeout), new_head=True, adapt_input=True)


def fetch_pretrained(name: str, timeout: float = TIMEOUT) -> Path:
    """Return the file of a network: the package's, our copy, Paddle's own, or a fresh download.

    Our copy is kept in the folder ``weights`` of the cache, see
    :func:`paddle_resnet.io.atomic_files.cache_folder`.

    Raises:
        WeightsError: there are none of that name, or they could not be downloaded whole.
    """
    own_weights, table = bundled_weights(), published()
    if name in own_weights:
        return own_weights[name]
    if name not in table:
        raise WeightsError(
            f"Paddle publishes no weights of '{name}' as it is here, only of {', '.join(table)}; "
            f"the package holds those of {', '.join(own_weights)}."
            + did_you_mean(name, [*table, *own_weights])
        )
    url, md5 = table[name]
    own = cache_folder() / "weights" / url.rpartition("/")[2]
    paddles = Path.home() / ".cache" / "paddle" / "hapi" / "weights" / own.name
    for path in (own, paddles):
        if path.is_file() and _md5(path) == md5:
            return path
    try:
        own.parent.mkdir(parents=True, exist_ok=True)
        print(f"Downloading {url}", file=sys.stderr)
        with atomic_write(own) as file:
            fetch(url, file, _SIZE_LIMIT, timeout)
            file.flush()
            if _md5(Path(file.name)) != md5:
                raise OSError(f"its MD5 is not the published {md5}")
    except OSError as error:
        raise WeightsError(
            f"the published weights of {name} could not be downloaded ({error}): connect, or put "
            f"the file of {url} at '{own}'."
        ) from error
    return own


def _md5(path: Path) -> str:
    # Against damage, not against forgery: forged weights cannot run anything here.
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
