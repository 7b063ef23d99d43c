"""The names of `import paddle_resnet`: one list, complete, and seen by type checkers."""

import ast
import importlib
from pathlib import Path

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


def test_type_checkers_see_the_rooms_that_the_list_names():
    tree = ast.parse(Path(paddle_resnet.__file__).read_text(encoding="utf-8"))
    (checking,) = [n for n in tree.body if isinstance(n, ast.If)]
    assert ast.unparse(checking.test) == "TYPE_CHECKING"
    assert {node.module for node in checking.body} == set(paddle_resnet._HOMES)
    assert {(node.level, node.names[0].name) for node in checking.body} == {(1, "*")}


def test_all_holds_the_list_and_no_more():
    assert set(paddle_resnet.__all__) == {"RUNTIME", "__version__", *paddle_resnet._HOME_OF}
    assert len(paddle_resnet.__all__) == len(set(paddle_resnet.__all__))
