"""Paddle as installed: `paddle.Model` around `paddle.vision`'s network with the same stem."""

import paddle
from paddle import nn
from timing_loop import arguments, serve

asked = arguments()
paddle.seed(0)
network = getattr(paddle.vision.models, asked["model"])(num_classes=10)
if asked["stem"] == "cifar":
    network.conv1 = nn.Conv2D(3, 64, 3, padding=1, bias_attr=False)
    network.maxpool = nn.Identity()
model = paddle.Model(network)
model.prepare(
    paddle.optimizer.Momentum(0.01, parameters=network.parameters()), nn.CrossEntropyLoss()
)
side = asked["image_size"]
images = paddle.randn([asked["batch_size"], 3, side, side])
labels = paddle.randint(0, 10, [asked["batch_size"], 1])

serve(
    train=lambda: model.train_batch([images], [labels]),
    infer=lambda: model.predict_batch([images]),
)
