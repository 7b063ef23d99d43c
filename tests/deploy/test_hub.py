"""`paddle.hub` on a checkout, with sockets blocked and stdin closed."""

import json
import subprocess
import sys
from pathlib import Path

from paddle_resnet import list_models

ROOT = Path(__file__).parents[2]
CODE = """
import json, socket, sys
def blocked(*_, **__): raise OSError("no network in this test")
socket.socket.connect = socket.create_connection = blocked
import numpy as np, paddle
root = sys.argv[1]
names = paddle.hub.list(root, source="local")
help = paddle.hub.help(root, "resnet50", source="local")
net = paddle.hub.load(root, "resnet20", source="local", pretrained=True)
new = paddle.hub.load(root, "resnet18", source="local", num_classes=3)
net.eval()
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD, load_cifar10
data = load_cifar10("sample")
mean, std = (np.array(v).reshape(3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
with paddle.no_grad():
    x = ((data.test_images[:100] / 255 - mean) / std).astype("float32")
    right = float((net(paddle.to_tensor(x)).numpy().argmax(1) == data.test_labels[:100]).mean())
print(json.dumps({"names": names, "help": help, "right": right, "shape": new.fc.weight.shape}))
"""


def test_all_networks_are_there_and_the_bundled_weights_work(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert sorted(found["names"]) == sorted(list_models())
    assert "num_classes" in found["help"]
    assert found["right"] > 0.85
    assert found["shape"] == [512, 3]
