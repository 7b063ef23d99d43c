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

from paddle_resnet import ConvBNLayer, kernels, resnet18
from paddle_resnet.kernels.algorithm_choice import forced
from paddle_resnet.layers.pooling import MaxPool2D
from paddle_resnet.layers.shortcuts import ZeroPad

#: Maps of this shape take 1 MiB in bfloat16, 2 in float32.
LARGE = [16, 32, 32, 32]

pytestmark = pytest.mark.usefixtures("warm_children")


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


def test_what_waits_for_the_next_step_can_be_released(operator):
    kernels.release()  # weights that earlier tests have left prepared for inference
    layer, x = ConvBNLayer(32, 32, 3, act="relu"), paddle.randn(LARGE)
    first = step(layer, x)
    # By Winograd's algorithm, for which inference prepares no weights: those would go too.
    with kernels.use("require"), paddle.no_grad(), forced(operator, "winograd"):
        kept = layer(x)  # a tensor that is alive keeps its block
    gc.collect()
    reserved, used, _, mapped = blocks(operator)
    assert reserved > used
    kernels.release()
    assert blocks(operator)[:2] == [used, used]
    assert np.isfinite(kept.numpy()).all()
    for found, expected in zip(step(layer, x), first):
        np.testing.assert_array_equal(found, expected)
    assert blocks(operator)[3] > mapped


def test_nothing_is_loaded_to_be_released():
    script = (
        "import paddle_resnet.kernels as k; k.release(); from paddle_resnet.kernels import build"
    )
    script += "; print(build.library.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["0"], done.stderr


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvBNLayer(32, 32, 3, act="relu"),
        lambda: ConvBNLayer(32, 32, 3, act="relu", dilation=2),
        lambda: ConvBNLayer(32, 64, 1),
        lambda: ConvBNLayer(32, 128, 3, 2, groups=8, act="relu"),
        lambda: ConvBNLayer(32, 128, 3, act="relu", max_pool=True),
        lambda: MaxPool2D(3, 1, 1),
        lambda: MaxPool2D(2),
        lambda: ZeroPad(32, 1, "NCHW"),
    ],
    ids=["3x3", "dilated", "1x1", "grouped", "pooled", "overlapping", "max-pool", "zero-pad"],
)
def test_nothing_is_left_of_what_a_block_held(operator, make, dtype):
    layer = make()
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


def test_a_step_of_a_network_maps_no_block_anew(operator):
    # Of many sizes, of which some always wait for their turn.
    network = resnet18(num_classes=10, stem="cifar", widths=(32, 64, 96, 128))
    x, mapped = paddle.randn([16, 3, 32, 32]), []
    for _ in range(5):
        with kernels.use("require"):
            network(x).sum().backward()
        network.clear_gradients()
        gc.collect()
        mapped.append(blocks(operator)[3])
    assert mapped[0] > 0
    assert mapped[2] == mapped[3] == mapped[4]


def test_the_map_before_max_pooling_is_never_in_memory():
    # 16 MiB before pooling, in float32 by Winograd's algorithm; 4 MiB of it are pooled.
    used = in_a_process("""
os.environ["PADDLE_RESNET_CONV"] = "winograd"
from paddle_resnet.kernels import build
layer = ConvBNLayer(32, 64, 3, act="relu", max_pool=True)
with kernels.use("require"):
    layer(paddle.randn([64, 32, 32, 32])).sum().backward()
print(json.dumps(blocks(build.library())[2]))
""")
    # The unit's output, the pooled map, its winners, a gradient, and the forms of some tiles.
    assert used < 24 * 2**20


def in_a_process(script):
    environment = {
        **os.environ,
        "PADDLE_RESNET_KERNELS": "require",
        "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[2], Path(__file__).parent])),
    }
    command = [
        sys.executable,
        "-c",
        "import paddle_resnet\nfrom test_caching_allocator import *\n" + script,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_sizes_that_are_asked_for_no_more_go_back_to_the_system():
    # The tensor that is alive to the end is freed when the process ends.
    # By one algorithm: primitives of those that are measured stay in oneDNN's own cache.
    found = in_a_process("""
os.environ["PADDLE_RESNET_CONV"] = "winograd"
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
    messages, before, after, works = in_a_process("""
import resource
from paddle_resnet.kernels import build
library, small = build.library(), ConvBNLayer(16, 16, 1)
step(small, paddle.randn([16, 16, 64, 64]))
large, x = ConvBNLayer(16, 2048, 1), paddle.randn([16, 16, 64, 64])
size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, -1))
before = blocks(library)[1]
messages = []
for layer in (large, ZeroPad(2048, 1, "NCHW")):
    try:
        layer(x)
    except Exception as error:
        messages.append(str(error))
assert len(messages) == 2
works = bool(np.isfinite(step(small, x)[0]).all())
gc.collect()
print(json.dumps([messages, before, blocks(library)[1], works]))
""")
    for sentence in messages:
        assert "paddle_resnet's CPU operator: out of memory" in sentence
    assert works
    assert after == before
