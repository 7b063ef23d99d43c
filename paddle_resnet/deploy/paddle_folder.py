"""The folder that Paddle Inference and PaddleX read: `inference.yml` beside the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..errors import DeployError, for_display
from .manifest import Manifest

NAME = "inference.yml"
#: Of this package's own facts in the file; PaddleX ignores it.
_OWN = "PaddleResNet"
_MAX_BYTES = 16 * 2**20


def inference_yml(manifest: Manifest) -> str:
    """Return the text of ``inference.yml``, as PaddleX and PaddleClas read it.

    The size before the centre crop is rounded to whole pixels there.
    """
    facts: dict[str, Any] = {}
    channels, height, width = manifest.input_shape
    resize: dict[str, Any] = {"size": [width, height]}
    operations: list[dict[str, Any]] = []
    if height == width:
        resize = {"resize_short": round(height / manifest.centre)}
    operations.append({"ResizeImage": {**resize, "interpolation": "LINEAR", "backend": "pil"}})
    if height == width:
        operations.append({"CropImage": {"size": height}})
    operations.append(
        {
            "NormalizeImage": {
                "mean": manifest.mean or [0.0] * channels,
                "std": manifest.std or [1.0] * channels,
                "scale": 1 / 255,
                "order": "",
                "channel_num": channels,
            }
        }
    )
    operations.append({"ToCHWImage": None})
    facts["Global"] = {"model_name": _paddlex_name(manifest.model)}
    facts["PreProcess"] = {"transform_ops": operations}
    top = min(5, len(manifest.classes))
    facts["PostProcess"] = {"Topk": {"topk": top, "label_list": list(manifest.classes)}}
    facts[_OWN] = manifest.to_strings()
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100)


def read_manifest(folder: Path) -> Manifest:
    """Read the facts of a folder.

    Raises:
        DeployError: there is no ``inference.yml``, or not one that `export` wrote.
    """
    path = folder / NAME
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        facts = yaml.safe_load(content) if len(content) <= _MAX_BYTES else None
    except OSError as error:
        raise DeployError(f"'{for_display(path)}' cannot be read: {error.strerror}.") from None
    # RecursionError: a million brackets.
    except (yaml.YAMLError, ValueError, RecursionError):
        raise DeployError(f"'{for_display(path)}' is no YAML file.") from None
    own = facts.get(_OWN) if isinstance(facts, dict) else None
    if not isinstance(own, dict) or not all(isinstance(v, str) for v in own.values()):
        raise DeployError(
            f"'{for_display(path)}' has no section {_OWN}: only folders that "
            "`paddle-resnet export` wrote can be used."
        )
    return Manifest.from_strings(own, path)


def _paddlex_name(model: str) -> str:
    """Return the name that PaddleX knows a network by; it refuses others."""
    plain = {
        f"resnet{depth}{suffix}": f"ResNet{depth}{tail}"
        for depth in (18, 34, 50, 101, 152)
        for suffix, tail in (("", ""), ("_d", "_vd"))
    }
    return plain.get(model, "ResNet50")
