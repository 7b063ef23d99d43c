"""Exported networks in Paddle Inference, where they are used: the same answers, and no crash.

Each runs in a process of its own, by the default settings and with oneDNN asked for.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import create_model, list_models
from paddle_resnet.layers.shortcuts import ZeroPad

#: Shortcut A, at which oneDNN crashed, and the kinds of layers that no other has; trained or not.
QUICK = (("resnet20", True), ("googlenet", False))
#: Networks whose layers another one has too, and that take long.
SMALLER = {"resnet1202": {"layers": (20, 20, 20)}}
SCRIPT = Path(__file__).with_name("inference_process.py")


def build(name, images):
    """Return a network with statistics of its own: with none, signals double in each block."""
    paddle.seed(1)
    network = create_model(name, num_classes=7, **SMALLER.get(name, {}))
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    momentum = norms[0]._momentum
    for norm in norms:
        norm._momentum = 0.0
        # ReLU passes most of it: else each block magnifies rounding, a hundred blocks to no end.
        norm.bias.set_value(paddle.ones_like(norm.bias))
    with paddle.no_grad():
        network(images)
    for norm in norms:
        norm._momentum = momentum
        # A channel that hardly varies over so few pixels would magnify rounding.
        norm._variance.set_value(norm._variance + 0.1)
    return network


def train_two_steps(network, images):
    optimizer = paddle.optimizer.Momentum(0.001, 0.9, parameters=network.parameters())
    loss = network.training_loss(nn.CrossEntropyLoss())
    network.train()
    for _ in range(2):
        loss(network(images), paddle.to_tensor([1, 4])).backward()
        optimizer.step()
        optimizer.clear_grad()


def infer(folder, images, *settings):
    """Return what Paddle Inference answers, in a process of its own."""
    (model,) = [path for path in folder.iterdir() if path.suffix in (".json", ".pdmodel")]
    given, found = folder / "given.npy", folder / f"found{len(settings)}.npy"
    np.save(given, images)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(model), str(given), str(found), *settings],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (
        f"exit code {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}"
    )
    return np.load(found)


def check(name, tmp_path, trained):
    paddle.seed(2)
    images = paddle.randn([2, 3, 40, 32])
    network = build(name, images)
    if trained:
        train_two_steps(network, images)
    network.eval()
    spec = paddle.static.InputSpec([None, 3, None, None], "float32")
    paddle.jit.save(network, str(tmp_path / "net"), input_spec=[spec])
    with paddle.no_grad():
        expected = network(images).numpy()
    largest = np.abs(expected).max()
    for settings in ((), ("onednn",)):
        found = infer(tmp_path, images.numpy(), *settings)
        error = np.abs(found - expected).max() / largest
        print(f"{name}{' trained' if trained else ''} {settings or 'default'}: {error:.1e}")
        assert error < 1e-4, settings


CASES = [(name, trained) for name in list_models() for trained in (False, True)]


@pytest.mark.parametrize(
    ("name", "trained"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_answers_as_in_training(name, trained, tmp_path):
    check(name, tmp_path, trained)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("extra", "stride"), [(4, 2), (3, 1), (19, 2), (0, 2), (1, 3)])
def test_shortcut_a_exports_no_padding(extra, stride, layout, tmp_path):
    layer = ZeroPad(extra, stride, layout)
    shape = [2, 4, 7, 6] if layout == "NCHW" else [2, 7, 6, 4]
    spec = [None, 4, None, None] if layout == "NCHW" else [None, None, None, 4]
    x = paddle.randn(shape)
    spec = paddle.static.InputSpec(spec, "float32")
    paddle.jit.save(layer, str(tmp_path / "layer"), input_spec=[spec])
    axis = layout.index("C")
    pad = [(0, 0)] * 4
    pad[axis] = extra // 2, extra - extra // 2
    picked = x.numpy()[:, :, ::stride, ::stride] if axis == 1 else x.numpy()[:, ::stride, ::stride]
    np.testing.assert_array_equal(layer(x).numpy(), np.pad(picked, pad))
    loaded = paddle.jit.load(str(tmp_path / "layer"))
    np.testing.assert_array_equal(loaded(x).numpy(), np.pad(picked, pad))
    (model,) = [path for path in tmp_path.iterdir() if path.suffix in (".json", ".pdmodel")]
    assert b"pad3d" not in model.read_bytes()
    assert b"pd_op.pad" not in model.read_bytes()
