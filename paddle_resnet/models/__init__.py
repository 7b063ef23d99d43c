"""Networks, by class and by name."""

from .registry import (
    create_model,
    list_models,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from .resnet import ResNet

__all__ = [
    "ResNet",
    "create_model",
    "list_models",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]
