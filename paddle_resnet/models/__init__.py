"""Networks, by class and by name."""

from .counting import count
from .googlenet import GoogLeNet
from .network import FeatureInfo, Network
from .nin import NetworkInNetwork
from .registry import ModelInfo, create_model, list_models, model_info, option_names
from .resnet import ResNet
from .trained_model import TrainedModel, load_trained
from .zoo import *  # noqa: F403  # one function for each row of the table

__all__ = [
    "FeatureInfo",
    "GoogLeNet",
    "ModelInfo",
    "Network",
    "NetworkInNetwork",
    "ResNet",
    "TrainedModel",
    "count",
    "create_model",
    "list_models",
    "load_trained",
    "model_info",
    "option_names",
]
__all__ += list_models()
