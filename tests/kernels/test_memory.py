"""Large maps lie in blocks that come back: what is taken again, what goes back, what it holds."""

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddle_resnet import ConvBNLayer, kernels
from paddle_resnet.layers.pooling import MaxPool2D

#: Maps of this shape take 1 MiB in bfloat16, 2 in float32.
LARGE = [16, 32, 32, 32]


def blocks(library):
    """Return bytes held, in use, the most ever in use, and the blocks taken from the system."""
    four = (ctypes.c_int64 * 4)()
    library.paddle_resnet_blocks(four)
    return list(four)


def step(layer, x):
    """Return the output and the gradient of the input, as float32."""
    x = x.detach()
    x.stop_gradient = False
    with kernels.use("require"):
        y = layer(x)
        y.backward(x.detach() if y.shape == x.shape else paddle.ones_like(y))
    return [tensor.astype("float32").numpy() for tensor in (y, x.grad)]


def test_a_step_takes_the_blocks_of_the_step_before(operator):
    layer, x = ConvBNLayer(32, 32, 3, act="relu"), paddle.randn(LARGE)
    step(layer, x)
    gc.collect()
    first = blocks(operator)
    # The output, the convolution's and a gradient wait for the next step.
    assert first[0] - first[1] >= 3 * 2**21
    for _ in range(3):
        step(layer, x)
        gc.collect()
        assert blocks(operator) == first


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "layer",
    [
        ConvBNLayer(32, 32, 3, act="relu"),
        ConvBNLayer(32, 32, 3, act="relu", dilation=2),
        ConvBNLayer(32, 64, 1),
        ConvBNLayer(32, 128, 3, 2, groups=8, act="relu"),
        MaxPool2D(3, 1, 1),
        MaxPool2D(2),
    ],
    ids=str,
)
def test_nothing_is_left_of_what_a_block_held(operator, layer, dtype):
    if dtype == "bfloat16" and not operator.paddle_resnet_can_bfloat16():
        pytest.skip("bfloat16 needs AVX-512")
    x = paddle.randn(LARGE).astype(dtype)
    first = step(layer, x)
    step(layer, paddle.full_like(x, float("nan")))
    if isinstance(layer, ConvBNLayer):  # outputs depend on the batch's statistics alone
        assert not np.isfinite(layer.bn._mean.numpy()).any()
    for found, expected in zip(step(layer, x), first):
        np.testing.assert_array_equal(found, expected)


def test_a_block_stays_while_any_tensor_reads_it():
    layer = ConvBNLayer(32, 32, 3, act="relu")
    with kernels.use("require"), paddle.no_grad():
        y = layer(paddle.randn(LARGE))
        in_memory = y.detach().transpose([0, 2, 3, 1])
        expected, part = in_memory.numpy(), in_memory[3]
        other = paddle.utils.dlpack.from_dlpack(paddle.utils.dlpack.to_dlpack(in_memory))
        del y, in_memory
        others = [layer(paddle.randn(LARGE)) for _ in range(3)]
    assert len(others) == 3
    np.testing.assert_array_equal(part.numpy(), expected[3])
    np.testing.assert_array_equal(other.numpy(), expected)


def in_a_process(script):
    environment = {
        **os.environ,
        "PADDLE_RESNET_KERNELS": "require",
        "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[2], Path(__file__).parent])),
    }
    command = [sys.executable, "-c", "import paddle_resnet\nfrom test_memory import *\n" + script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_sizes_that_are_asked_for_no_more_go_back_to_the_system():
    # The tensor that is alive to the end is freed when the process ends.
    found = in_a_process("""
from paddle_resnet.kernels import build
layer, library = ConvBNLayer(32, 32, 3, act="relu"), build.library()
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
step(layer, paddle.randn([16, 32, 32, 32]))
before, rows = resident() - blocks(library)[0], []
for side in [*range(20, 65, 4), *range(62, 20, -4)]:
    step(layer, paddle.randn([16, 32, side, side]))
    gc.collect()
    rows.append(blocks(library))
alive = layer(paddle.randn([16, 32, 64, 64]))
print(json.dumps([rows, resident() - before]))
""")
    rows, grown = found
    assert all(held <= 1.2 * most for held, _, most, _ in rows)
    # What all sizes would take, had none gone back.
    assert rows[-1][3] > 60
    assert rows[-1][2] < 130 * 2**20
    assert grown < 1.2 * rows[-1][2] + 64 * 2**20


def test_too_large_a_map_is_one_error_and_takes_nothing():
    message, before, after, works = in_a_process("""
import resource
from paddle_resnet.kernels import build
library, small = build.library(), ConvBNLayer(16, 16, 1)
step(small, paddle.randn([16, 16, 64, 64]))
large, x = ConvBNLayer(16, 2048, 1), paddle.randn([16, 16, 64, 64])
size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, -1))
before = blocks(library)[1]
try:
    large(x)
except Exception as error:
    message = str(error)
works = bool(np.isfinite(step(small, x)[0]).all())
gc.collect()
print(json.dumps([message, before, blocks(library)[1], works]))
""")
    assert "paddle_resnet's CPU operator: out of memory" in message
    assert works
    assert after == before
