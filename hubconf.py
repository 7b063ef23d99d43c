"""Every network of the table for `paddle.hub`, without a network connection.

>>> import paddle
>>> net = paddle.hub.load("path/to/this/checkout", "resnet20", source="local", pretrained=True)
"""

import paddle_resnet.models as _models

#: Names to import, as the hub checks them; pip's names are in setup.py.
dependencies = ["paddle", "numpy", "PIL", "pydantic", "yaml", "safetensors", "tqdm", "jinja2"]

for _name in _models.list_models():
    globals()[_name] = getattr(_models, _name)
