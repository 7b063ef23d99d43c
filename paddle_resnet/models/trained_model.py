"""A trained network from a run folder or a weights file, ready to be used."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Union

import paddle
from paddle import nn

from ..errors import UserError, WeightsError
from ..weights.readers import open_weights
from ..weights.save_load import assign_weights, check_weights
from ..weights.state_dict_file import printable
from .find_weights import BY_NAME, find_weights_file, hint_at_name, published_name
from .registry import create_model, model_info

#: Of the weights that Paddle publishes: https://www.paddlepaddle.org.cn, paddle.vision.
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
#: Far beyond what these networks are fed with; a file that says more wants memory.
_LARGEST_IMAGE = 4096


def _numbers(value: Any) -> bool:
    return value is None or (
        isinstance(value, list)
        and all(isinstance(n, (int, float)) and math.isfinite(n) for n in value)
    )


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= 1


def _is_range(value: Any) -> bool:
    return value is None or (_numbers(value) and len(value) == 2 and value[0] < value[1])


#: What a weights file must say about itself to be usable on its own, and how to see that it is no
#: nonsense: the file may come from anyone.
REQUIRED: dict[str, Callable[[Any], bool]] = {
    "model": printable,
    "options": lambda it: isinstance(it, dict) and all(map(printable, it)) and "name" not in it,
    "classes": lambda it: isinstance(it, list) and all(map(printable, it)),
    "mean": _numbers,
    "std": _numbers,
    "input_shape": lambda it: (
        isinstance(it, list)
        and len(it) == 3
        and all(type(n) is int and 0 < n <= _LARGEST_IMAGE for n in it)
    ),
}


@dataclass
class TrainedModel:
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
    #: Share of an image's shorter side that it looks at, in the middle.
    centre: float = 1.0
    #: Black and white of the images of more than 8 bits that it was trained on, if there were any.
    value_range: Union[list[float], None] = None
    #: Of the network, as the file says them.
    options: dict[str, Any] = field(default_factory=dict)
    #: SHA-256 of the file that was read: another may have its name by now.
    sha256: str = ""


def model_metadata(
    model: str,
    options: dict[str, Any],
    classes: list[str],
    mean: Union[list[float], None],
    std: Union[list[float], None],
    input_shape: list[int],
    centre: float = 1.0,
    value_range: Union[list[float], None] = None,
) -> dict[str, Any]:
    """Return the metadata that makes a weights file usable by :func:`load_trained`.

    Args: see :class:`TrainedModel`; ``options`` are the network's.
    """
    return {
        "model": model,
        "options": options,
        "classes": classes,
        "mean": mean,
        "std": std,
        "input_shape": input_shape,
        "centre": centre,
        **({} if value_range is None else {"value_range": list(value_range)}),
    }


def load_trained(source: Union[str, Path], which: str = "best") -> TrainedModel:
    """Rebuild a trained network from its run folder or its weights file.

    Args:
        source: a run folder; one of our safetensors files (they describe themselves); the name of
            a network with weights in the package, ``resnet20`` for CIFAR-10, or published by
            Paddle for ImageNet, whose classes are numbers then; or ``pretrained:`` and such a
            name, where a file or folder has that name.
        which: ``best`` or ``last``, of a run folder. Default: ``best``.

    Raises:
        WeightsError: no such run or file, a corrupt file, or one that does not say what network
            it belongs to.
        ModelError: it names a network or options that do not exist.
    """
    name = published_name(source)
    if name is not None:
        return _published(name)
    path = find_weights_file(source, which)
    try:
        contents = open_weights(path, digest=True)
    except WeightsError as error:
        raise WeightsError(str(error) + hint_at_name(source)) from error
    arrays = contents.arrays
    facts, options = _description(path, contents.metadata, len(arrays))
    try:
        with paddle.LazyGuard():  # no memory is taken before the sizes are seen to be the file's
            check_weights(create_model(facts["model"], **options), arrays, str(path))
    except UserError:
        raise
    # Sizes from anywhere can make Paddle raise nearly anything.
    except Exception as error:
        raise WeightsError(
            f"'{path}' describes a network that cannot be made ({type(error).__name__})."
        ) from error
    network = create_model(facts["model"], **options)
    if network.num_classes != len(facts["classes"]):
        raise WeightsError(
            f"'{path}' has {network.num_classes} outputs and names {len(facts['classes'])} classes."
        )
    assign_weights(network, arrays, str(path))
    network.eval()
    return TrainedModel(
        network=network, path=path, options=options, sha256=contents.sha256, **facts
    )


def _published(name: str) -> TrainedModel:
    path = find_weights_file(BY_NAME + name)
    network = create_model(name, pretrained=True)
    network.eval()
    size = model_info(name).input_size
    classes = [str(index) for index in range(network.num_classes)]
    shape = [3, size, size]
    return TrainedModel(network, name, classes, IMAGENET_MEAN, IMAGENET_STD, shape, path, 0.875)


def read_model_metadata(
    path: Path, entry: Union[str, None] = None
) -> tuple[Union[dict[str, Any], None], dict[str, Any]]:
    """Return what a weights file says about itself, and apart from it its network's options.

    Args:
        path: the file.
        entry: which of several state dicts in it is meant.

    Returns:
        tuple: ``model``, ``classes``, ``mean``, ``std``, ``input_shape``, ``centre`` and
        ``value_range``, or None where the file is not one that a run wrote; and the options.

    Raises:
        WeightsError: it cannot be read, or what it says is nonsense.
    """
    contents = open_weights(path, entry)
    if "model" not in contents.metadata:
        return None, {}
    return _description(path, contents.metadata, len(contents.arrays))


def _description(
    path: Path, metadata: dict[str, Any], arrays: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a file says about itself, and apart from it the network's options."""
    missing = [key for key in REQUIRED if key not in metadata]
    if missing:
        raise WeightsError(
            f"'{path}' does not say what network it holds (no {', '.join(missing)} in its "
            "metadata): only files that a run wrote can be used on their own."
        )
    facts = {key: metadata[key] for key in REQUIRED}
    facts["centre"] = metadata.get("centre", 1.0)
    facts["value_range"] = metadata.get("value_range")
    invalid = [] if _is_share(facts["centre"]) else ["centre"]
    invalid += [] if _is_range(facts["value_range"]) else ["value_range"]
    invalid += [key for key, is_valid in REQUIRED.items() if not is_valid(facts[key])]
    options = facts.pop("options")
    # A list says how many blocks each stage has; every block has an array at least.
    layers = [] if invalid else options.get("layers")
    if isinstance(layers, list) and sum(n for n in layers if type(n) is int) > arrays:
        invalid.append("options")
    if invalid:
        raise WeightsError(
            f"'{path}' has invalid metadata about its network: {', '.join(invalid)}."
        )
    # The weights are in the file: nothing is to be downloaded.
    return facts, {key: value for key, value in options.items() if key != "pretrained"}
