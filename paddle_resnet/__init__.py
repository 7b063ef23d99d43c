"""Residual networks on PaddlePaddle: build, train, compare, understand.

>>> import paddle
>>> from paddle_resnet import Cifar10, ImageClassifier, resnet50
>>> model = ImageClassifier(resnet50(num_classes=10, stem="cifar"))

Importing this package before Paddle gives Paddle all cores (see :mod:`paddle_resnet.cpu_runtime`).
The public names are loaded on first use, so that the command line answers at once and `doctor`
can speak where Paddle is missing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from . import cpu_runtime
from .cpu_runtime import RUNTIME
from .version import __version__

for _note in RUNTIME.notes:
    print(f"paddle_resnet: {_note}", file=sys.stderr)


if TYPE_CHECKING:
    from .data import *
    from .deploy.export import *
    from .deploy.predictor import *
    from .evaluation import *
    from .layers import *
    from .models import *
    from .training import *
    from .weights import *

#: The public names and where they live.
_HOMES = {
    "data": "BatchLoader Cifar10",
    "deploy.export": "export",
    "deploy.predictor": "Predictor",
    "evaluation": "heatmap",
    "layers": """
        BasicBlock BottleneckBlock ConvBNLayer SqueezeExcitation StochasticDepth adapt_first_conv
        activation_dtype
    """,
    "models": """
        GoogLeNet ModelInfo Network NetworkInNetwork ResNet
        count create_model list_models load_trained model_info
        resnet18 resnet34 resnet50 resnet101 resnet152
        plain18 plain34
        resnet20 resnet32 resnet44 resnet56 resnet110 resnet1202
        plain20 plain32 plain44 plain56 plain110
        resnext50_32x4d resnext50_64x4d resnext101_32x4d resnext101_64x4d resnext101_32x8d
        resnext152_32x4d resnext152_64x4d wide_resnet50_2 wide_resnet101_2
        seresnet50 resnet50_d preact_resnet18 preact_resnet50
        resnet18_keras resnet18_residual_block googlenet nin speedrun_resnet
    """,
    "training": "ImageClassifier",
    "weights": """
        LoadReport load_pretrained load_weights open_weights save_weights
    """,
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = ["RUNTIME", "__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'paddle_resnet' has no attribute '{name}'")
    if not _HOME_OF[name].startswith("deploy."):  # exported files run without Paddle
        cpu_runtime.import_paddle()
    value = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
