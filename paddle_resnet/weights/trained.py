"""A trained network from a run folder or a weights file, ready to be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from paddle import nn

from ..errors import WeightsError
from ..models import create_model
from .files import assign_weights, read_weights

#: What a weights file must say about itself to be usable on its own.
REQUIRED = ("model", "options", "classes", "mean", "std", "input_shape")


@dataclass
class Trained:
    """A network in eval mode, and what is needed to feed it and to read its answers."""

    network: nn.Layer
    model: str
    classes: list[str]
    #: Per channel, of pixels in [0, 1]; None where the network takes pixels in [0, 1] as they are.
    mean: Union[list[float], None]
    std: Union[list[float], None]
    #: ``[C, H, W]`` of the images it was trained on.
    input_shape: list[int]
    #: Where the weights came from.
    path: Path


def describe(
    model: str,
    options: dict[str, Any],
    classes: list[str],
    mean: Union[list[float], None],
    std: Union[list[float], None],
    input_shape: list[int],
) -> dict[str, Any]:
    """Return the metadata that makes a weights file usable by :func:`load_trained`."""
    return {
        "model": model,
        "options": options,
        "classes": classes,
        "mean": mean,
        "std": std,
        "input_shape": input_shape,
    }


def find_weights(source: Union[str, Path], which: str = "best") -> Path:
    """Return the weights file of a run folder, or ``source`` itself where it is a file.

    Raises:
        WeightsError: there is neither.
    """
    source = Path(source)
    if source.is_dir():
        for name in (which, "best", "last"):
            if (source / f"{name}.safetensors").is_file():
                return source / f"{name}.safetensors"
        raise WeightsError(
            f"'{source}' holds no best.safetensors or last.safetensors: it is no run folder, or "
            "its training ended before the first epoch did."
        )
    if not source.is_file():
        raise WeightsError(f"there is no run folder or weights file '{source}'.")
    return source


def load_trained(source: Union[str, Path], which: str = "best") -> Trained:
    """Rebuild a trained network from its run folder or its weights file.

    Args:
        source: a run folder, or one of our safetensors files (they describe themselves).
        which: ``best`` or ``last``, of a run folder. Default: ``best``.

    Raises:
        WeightsError: no such run or file, a damaged file, or one that does not say what network
            it belongs to.
    """
    path = find_weights(source, which)
    arrays, metadata = read_weights(path)
    missing = [key for key in REQUIRED if key not in metadata]
    if missing:
        raise WeightsError(
            f"'{path}' does not say what network it holds (no {', '.join(missing)} in its "
            "metadata): only files that a run wrote can be used on their own."
        )
    network = create_model(metadata["model"], **metadata["options"])
    assign_weights(network, arrays, str(path))
    network.eval()
    return Trained(
        network=network,
        path=path,
        **{key: metadata[key] for key in REQUIRED if key != "options"},
    )
