"""The names of `import paddle_resnet`: one list, complete, and seen by type checkers."""

import importlib

import paddle_resnet
from paddle_resnet.models import list_models


def test_every_public_name_is_where_the_list_says():
    for name, home in paddle_resnet._HOME_OF.items():
        module = importlib.import_module(f"paddle_resnet.{home}")
        assert getattr(paddle_resnet, name) is getattr(module, name)
        assert name in module.__all__, "type checkers see what `from .home import *` brings"
        assert name in dir(paddle_resnet)


def test_every_network_has_a_public_name():
    assert set(list_models()) <= set(paddle_resnet.__all__)
