# %% [markdown] lang="en"
# # Lesson 6: 1x1 convolutions, Inception, and your own photos
#
# What can a convolution do that sees a single pixel? How does Inception use it to save multiplications,
# and what were GoogLeNet's side heads for? At the end a trained network learns your own photos.

# %% [markdown] lang="zh"
# # 第 6 课：1x1 卷积、Inception，以及你自己的照片
#
# 只看一个像素的卷积能做什么？Inception 怎样用它节省乘法？GoogLeNet 的辅助分类头又是为了什么？最后让训练好的网络学会识别你自己的照片。

# %% [markdown] lang="en"
# ## 1. A 1x1 convolution is a linear layer at every pixel
#
# **Guess:** 32 channels on 6x6 pixels through 16 filters of size 1x1, or the same matrix applied to
# each of the 36 pixels: equal to how many digits? We take whole numbers, so that no sum is rounded.

# %% [markdown] lang="zh"
# ## 1. 1x1 卷积就是在每个像素上做同一个全连接
#
# **猜一猜：** 6x6 像素、32 个通道，经过 16 个 1x1 的滤波器；或者把同一个矩阵乘在 36 个像素上。两者有几位数字相同？我们用整数，这样求和没有舍入。

# %%
import numpy as np
import paddle
from paddle.nn import functional as F

random = np.random.RandomState(0)
x = paddle.to_tensor(random.randint(-8, 9, [1, 32, 6, 6]).astype("float32"))
w = paddle.to_tensor(random.randint(-8, 9, [16, 32, 1, 1]).astype("float32"))
convolved = F.conv2d(x, w)
pixels = x.transpose([0, 2, 3, 1]).reshape([36, 32])
linear = (pixels @ w.reshape([16, 32]).t()).reshape([1, 6, 6, 16]).transpose([0, 3, 1, 2])
print("equal to the bit:", bool((convolved == linear).all()))

# %% [markdown] lang="en"
# **Answer.** To the bit. So a 1x1 convolution mixes channels, and changes how many there are, without
# looking at neighbours (network in network, Lin 2013).
#
# ## 2. Inception: reduce, then look
#
# 28x28 pixels, 192 channels, 5x5 filters, 32 outputs.
#
# **Guess:** how many multiplications does it take directly, and how many if a 1x1 convolution first
# reduces to 16 channels?

# %% [markdown] lang="zh"
# **答案。** 一个比特都不差。所以 1x1 卷积只混合通道、改变通道数，不看相邻像素（network in network，Lin 2013）。
#
# ## 2. Inception：先降维，再看
#
# 28x28 像素，192 个通道，5x5 滤波器，输出 32 个通道。
#
# **猜一猜：** 直接做要多少次乘法？先用 1x1 卷积降到 16 个通道，又要多少次？

# %%
direct = 28 * 28 * 32 * 5 * 5 * 192
reduced = 28 * 28 * 16 * 192 + 28 * 28 * 32 * 5 * 5 * 16
print(f"direct {direct:,}   through 16 channels {reduced:,}   ratio {direct / reduced:.2f}")

# %% tags=["slow"]
from paddle_resnet.studies import pointwise

pointwise(passes=3, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** 120 million against 12.4 million. Time shrinks less: multiplications are not time.
#
# ## 3. GoogLeNet
#
# Nine Inception modules. Its four branches see the same input; their outputs are concatenated.

# %% [markdown] lang="zh"
# **答案。** 120（百万次）对 12.4（百万次）。时间减少得没有那么多：乘法次数不等于时间。
#
# ## 3. GoogLeNet
#
# 九个 Inception 模块。每个模块的四个分支看同样的输入，输出拼接在一起。

# %%
from paddle_resnet import count, googlenet
from paddle_resnet.layers import Inception

module = Inception(192, 64, 96, 128, 16, 32, 32)
module.eval()
x = paddle.zeros([1, 192, 28, 28])
with paddle.no_grad():
    for name in ("branch1", "branch2", "branch3", "branch4"):
        print(name, tuple(getattr(module, name)(x).shape))
    print("together", tuple(module(x).shape))
network = googlenet(num_classes=10, aux_heads=True)
network.train()
network(paddle.randn([2, 3, 64, 64]))
print("logits of the side heads:", [tuple(a.shape) for a in network.auxiliary_logits])

# %% [markdown] lang="en"
# ## 4. What do the side heads do?
#
# GoogLeNet was trained without batch normalization. Two side heads put a loss in the middle of the
# network.
#
# **Guess:** by how much do they raise the gradient of the first convolution, without batch
# normalization and with it?

# %% [markdown] lang="zh"
# ## 4. 辅助分类头起什么作用？
#
# GoogLeNet 当年训练时没有批归一化。两个辅助分类头在网络中间各加了一个损失。
#
# **猜一猜：** 它们让第一个卷积的梯度增大到几倍？没有批归一化时呢，有的时候呢？

# %% tags=["slow"]
from paddle_resnet.studies import auxiliary

auxiliary(seeds=1, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** They were an answer to vanishing gradients *before* batch normalization; with it this
# reason is gone. That they regularise, as lectures say, is not shown here.
#
# ## 5. Your own photos: freeze the backbone, train the head
#
# A folder per class is all that is needed. Here we write two classes of CIFAR-10 as PNG files, as if
# they were yours: frogs and ships, 40 of each.
#
# **Guess:** `resnet20` knows ten classes. With its backbone frozen and a new head of 2 classes, how many
# steps does it need to tell frogs from ships?

# %% [markdown] lang="zh"
# **答案。** 在批归一化出现*之前*，它们是对付梯度消失的办法；有了批归一化，这个理由就不存在了。至于课上说的正则化作用，这里没有证实。
#
# ## 5. 你自己的照片：冻结主干，只训练分类头
#
# 每个类别一个文件夹就够了。这里我们把 CIFAR-10 的两个类别存成 PNG 文件，当作你自己的照片：青蛙和船，各 40 张。
#
# **猜一猜：** `resnet20` 认识十个类别。冻结主干、换上 2 个类别的新分类头之后，它要训练几步才能分清青蛙和船？

# %%
import tempfile
from pathlib import Path

from PIL import Image

from paddle_resnet import Cifar10

test = Cifar10(mode="test")
folder = Path(tempfile.mkdtemp()) / "my_photos"
for name in ("frog", "ship"):
    (folder / name).mkdir(parents=True)
    chosen = np.flatnonzero(test.labels == test.classes.index(name))[:40]
    for i in chosen:
        Image.fromarray(test.images[i].transpose(1, 2, 0)).save(folder / name / f"{i}.png")
print({path.name: len(list(path.iterdir())) for path in sorted(folder.iterdir())})

# %%
from paddle_resnet import resnet20
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD

mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
paths = sorted(folder.rglob("*.png"))
x = np.stack([np.asarray(Image.open(p)).transpose(2, 0, 1) for p in paths]) / np.float32(255)
x = ((x - mean) / std).astype("float32")
y = np.array([int(p.parent.name == "ship") for p in paths])
training = np.arange(len(y)) % 4 != 0  # three quarters; the rest is the test

paddle.seed(0)
network = resnet20(pretrained=True)
network.reset_classifier(2)
network.freeze_backbone()
optimizer = paddle.optimizer.Momentum(0.05, 0.9, network.fc.parameters())
before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
for step in range(9):
    network.eval()
    with paddle.no_grad():
        answers = network(paddle.to_tensor(x[~training])).argmax(axis=1).numpy()
    if step in (0, 1, 2, 4, 8):
        print(f"after {step} steps: accuracy {(answers == y[~training]).mean():.2f}")
    network.train()
    loss = F.cross_entropy(network(paddle.to_tensor(x[training])), paddle.to_tensor(y[training]))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
changed = [n for n, v in network.state_dict().items() if (v.numpy() != before[n]).any()]
print("changed:", changed)

# %% [markdown] lang="en"
# **Answer.** A handful. Only the head has changed: frozen batch norms do not move their statistics
# either. The same on the command line, with ImageNet weights and photos of any size:
#
# `paddle-resnet train -c finetune -o data.root=my_photos`
#
# **In one sentence:** 9.7 times fewer multiplications were 4 to 5 times less time.
#
# **Exercises**
# 1. Replace frogs and ships by cats and dogs. How many steps now, and why?
# 2. In section 1, use random floats in place of whole numbers. How large is the difference?
# 3. Put your own two folders of photos into section 5 (scaled to 32x32 by `Image.resize`).

# %% [markdown] lang="zh"
# **答案。** 几步就够。只有分类头变了：冻结的批归一化连统计量也不动。命令行上同样的事（ImageNet 权重、任意大小的照片）只要
#
# `paddle-resnet train -c finetune -o data.root=my_photos`
#
# **一句话总结：** 乘法减少到 9.7 分之一，时间只减少到 4 到 5 分之一。
#
# **练习**
# 1. 把青蛙和船换成猫和狗。现在要几步？为什么？
# 2. 在第 1 节里，用随机小数代替整数。差别有多大？
# 3. 把你自己的两个照片文件夹放进第 5 节（用 `Image.resize` 缩放到 32x32）。
