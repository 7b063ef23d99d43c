"""One of two processes with half a batch each, whose gradients `paddle.DataParallel` averages.

Started by Paddle's launcher; ends with an error where they are not the means of those that a
network computes from each half by itself.
"""

import numpy as np
import paddle
import paddle.distributed as dist
from paddle.nn import functional as F

import paddle_resnet
from paddle_resnet.kernels import conv_bn_act


def make():
    """Return the same network at every call."""
    paddle.seed(0)
    network = paddle_resnet.create_model("resnet18", stem="cifar", widths=(8, 16, 16, 24))
    network.train()
    return network


def gradients(network, images, labels):
    """Return the gradients of all trained parameters."""
    with paddle_resnet.activation_dtype("bfloat16"):
        loss = F.cross_entropy(network(images), labels)
    loss.backward()
    return [p.grad.numpy() for p in network.parameters() if not p.stop_gradient]


dist.init_parallel_env()
rng = np.random.default_rng(0)
images = paddle.to_tensor(rng.standard_normal([8, 3, 16, 16], dtype="float32"))
labels = paddle.to_tensor(rng.integers(0, 10, [8, 1]))
halves = [slice(0, 4), slice(4, 8)]
alone = [gradients(make(), images[half], labels[half]) for half in halves]
before = conv_bn_act.bfloat16_calls
own = halves[dist.get_rank()]
together = gradients(paddle.DataParallel(make()), images[own], labels[own])
assert conv_bn_act.bfloat16_calls - before == 20
assert len(together) == 62
for mean, first, second in zip(together, *alone):
    np.testing.assert_allclose(mean, (first + second) / 2, rtol=1e-5, atol=1e-7)
assert any(np.abs(first - second).max() > 1e-3 for first, second in zip(*alone))
