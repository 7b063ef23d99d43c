"""Our network, with the CPU operator."""

from timing_loop import arguments, serve

import paddle_resnet

paddle_resnet.cpu_runtime.import_paddle()
import paddle
from paddle.nn import functional as F

from paddle_resnet import activation_dtype
from paddle_resnet.benchmark.step_speed import build

asked = arguments()
paddle.seed(0)
network = build(asked["model"], asked["stem"])
optimizer = paddle.optimizer.Momentum(0.01, parameters=network.parameters())
side = asked["image_size"]
images = paddle.randn([asked["batch_size"], 3, side, side])
labels = paddle.randint(0, 10, [asked["batch_size"]])


def train():
    network.train()
    with activation_dtype(asked["precision"]):
        loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    float(loss)


def infer():
    network.eval()
    with paddle.no_grad(), activation_dtype(asked["precision"]):
        network(images).numpy()


serve(train=train, infer=infer)
