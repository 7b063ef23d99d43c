# %% [markdown] lang="en"
# # Lesson 4: The residual unit, or the telephone game
#
# A message whispered from ear to ear is soon another message. Layers whisper too: each sees only what
# the one before it said. This lesson builds the residual unit in a few lines, plays the telephone game
# with pictures, and ends with Paddle's high-level API.

# %% [markdown] lang="zh"
# # 第 4 课：残差单元，或者“传话游戏”
#
# 一句话一个人传一个人，很快就走了样。网络的层也在“传话”：每一层只看得到前一层说了什么。
# 本课用几行代码搭出残差单元，拿图像来玩传话游戏，最后用飞桨的高层 API（hapi）完成一次训练。

# %% [markdown] lang="en"
# ## 1. A unit of two convolutions, with and without `+ x`
#
# A plain unit computes F(x), then ReLU; a residual unit computes F(x) + x, then ReLU. `ConvBNLayer` is
# convolution, batch normalization, and ReLU if `act="relu"`.
#
# **Guess:** let the last batch norm multiply by gamma = 0, so that F(x) = 0. What does each of the two
# units put out?

# %% [markdown] lang="zh"
# ## 1. 两个卷积组成的单元：有没有 `+ x`
#
# 普通单元先算 F(x)，再过 ReLU；残差单元先算 F(x) + x，再过 ReLU。`ConvBNLayer` 就是“卷积 + 批归一化”，写上
# `act="relu"` 时再加激活函数。
#
# **猜一猜：** 令最后一个批归一化的缩放系数 gamma = 0，于是 F(x) = 0。这时两种单元各输出什么？

# %%
import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet import ConvBNLayer


class Unit(nn.Layer):
    def __init__(self, channels, residual):
        super().__init__()
        self.conv1 = ConvBNLayer(channels, channels, 3, act="relu")
        self.conv2 = ConvBNLayer(channels, channels, 3)
        self.residual = residual

    def forward(self, x):
        branch = self.conv2(self.conv1(x))
        return F.relu(branch + x if self.residual else branch)


paddle.seed(0)
x = F.relu(paddle.randn([1, 16, 16, 16]))  # activations behind a ReLU: none is negative
for residual in (False, True):
    unit = Unit(16, residual)
    unit.conv2.bn.weight.set_value(paddle.zeros([16]))  # gamma = 0
    y = unit(x)
    print(
        f"residual={residual!s:5}  output equals input: {bool((y == x).all())!s:5}  "
        f"output is zero: {bool((y == 0).all())}"
    )

# %% [markdown] lang="en"
# **Answer.** The residual unit returns its input, to the bit: doing nothing costs it nothing. The plain
# unit returns zeros: it has thrown the picture away. To do nothing, its two convolutions would have to
# learn the identity.
#
# ## 2. Whispering, step by step
#
# 18 units in a row, all with random weights. How much does the output still resemble the input?
# We compare *differences between two pictures*: if the units keep the pictures apart in the same way as
# before, the cosine stays near 1.

# %% [markdown] lang="zh"
# **答案。** 残差单元原样返回输入，一个比特都不差：“什么都不做”对它来说不费力气。普通单元则输出全零，图像丢了。
# 普通单元若想“什么都不做”，它的两个卷积得自己学出恒等映射。
#
# ## 2. 一步一步地传
#
# 把 18 个随机权重的单元串起来。输出还像输入吗？我们比较“两张图之差”：如果这些单元仍按原来的方式区分两张图，余弦就接近 1。

# %%
from paddle_resnet import Cifar10
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD

test = Cifar10(mode="test")
mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
images = paddle.to_tensor((test.images[:64] / np.float32(255) - mean) / std)


def differences(h):
    """Each image's activations minus those of the next image, as vectors of length 1."""
    d = (h - paddle.roll(h, 1, axis=0)).flatten(1)
    return d / d.norm(axis=1, keepdim=True)


for residual in (False, True):
    paddle.seed(1)
    stem = ConvBNLayer(3, 16, 3, act="relu")
    units = [Unit(16, residual) for _ in range(18)]
    with paddle.no_grad():
        h = stem(images)
        at_start, row = differences(h), []
        for number, unit in enumerate(units, 1):
            h = unit(h)
            if number in (1, 2, 4, 8, 12, 18):
                cosine = float((differences(h) * at_start).sum(axis=1).mean())
                row.append(f"{number:2}: {cosine:+.2f}")
    print("residual" if residual else "plain   ", "  after", "  ".join(row))

# %% [markdown] lang="en"
# A single plain unit already tells pictures apart by other directions; the residual chain changes them
# slowly. But a rotation would do the same, and lose nothing. Is the *class* lost too?
#
# ## 3. The study: what can still be read?
#
# `telephone` puts a linear classifier behind 0 to 18 untrained units and asks it for the class.
#
# **Guess:** chance is 10 %, and the classifier reaches about 43 % on the first activations. What is left
# after 36 layers, without shortcuts and with them?

# %% [markdown] lang="zh"
# 普通链只过一个单元，区分图像的方向就全变了；残差链变得很慢。不过旋转也会改变方向，却什么都不丢。那么*类别*信息丢了吗？
#
# ## 3. 研究：还能读出多少？
#
# `telephone` 在 0 到 18 个未经训练的单元之后各接一个线性分类器，让它读出类别。
#
# **猜一猜：** 瞎猜是 10 %，在最初的激活上这个分类器约有 43 %。经过 36 层之后，没有捷径连接还剩多少？有捷径连接呢？

# %% tags=["slow"]
from paddle_resnet.studies import telephone

telephone(seeds=1, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** About 30 % against 12 %: without shortcuts, 36 random layers leave hardly more than
# chance. Nothing was learned here. So an optimizer that starts from the plain network must first rebuild
# the picture; one that starts from the residual network has it already.
#
# ## 4. The bottleneck: 256 → 64 → 64 → 256
#
# ResNet-50 does not use two 3x3 convolutions on 256 channels. It goes down to 64 by a 1x1 convolution,
# works there, and comes back up.
#
# **Guess:** by which factor do the weights shrink? And the time?

# %% [markdown] lang="zh"
# **答案。** 大约 30 % 对 12 %：没有捷径连接，36 个随机层之后几乎只剩瞎猜的水平。注意这里什么都没有学。
# 所以，从普通网络出发，优化器得先把图像“重建”出来；从残差网络出发，图像本来就在那里。
#
# ## 4. 瓶颈结构：256 → 64 → 64 → 256
#
# ResNet-50 并不在 256 个通道上做两个 3x3 卷积。它先用 1x1 卷积降到 64 个通道，在那里计算，再升回来。
#
# **猜一猜：** 权重减少到几分之一？时间呢？

# %%
from paddle_resnet import BasicBlock, BottleneckBlock


def convolution_weights(layer):
    return sum(int(np.prod(p.shape)) for p in layer.parameters() if len(p.shape) == 4)


basic = BasicBlock(256, 256)
bottleneck = BottleneckBlock(256, 64)
for name, block in (("two 3x3 at 256", basic), ("bottleneck", bottleneck)):
    by_size = [tuple(c.conv.weight.shape) for c in block.sublayers() if isinstance(c, ConvBNLayer)]
    print(f"{name:15} {convolution_weights(block):9,} weights  {by_size}")
print(f"ratio {convolution_weights(basic) / convolution_weights(bottleneck):.1f}")

# %% tags=["slow"]
from paddle_resnet.studies import pointwise

pointwise(passes=3, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** 16.9 times fewer weights and multiplications, and only about 3 to 6 times less time. 3x3
# convolutions have faster algorithms, and a 1x1 convolution waits for memory. *Count multiplications, but
# measure time.*
#
# ## 5. Training with the high-level API
#
# `paddle.Model` trains any network in a few lines. First `paddle.Model`, as Paddle has it, evaluates
# `resnet20`, then `ImageClassifier`, which is a `paddle.Model` with repairs; then we train for some steps.
#
# **Guess:** the evaluation has 250 images in batches of 100, 100 and 50. Which loss does
# `paddle.Model.evaluate` report?

# %% [markdown] lang="zh"
# **答案。** 权重和乘法次数都少了 16.9 倍，时间却只少了大约 3 到 6 倍。3x3 卷积有更快的算法，1x1 卷积则常常在等内存。
# *乘法次数要数，时间要测。*
#
# ## 5. 用高层 API 训练
#
# `paddle.Model` 几行代码就能训练任何网络。下面先用飞桨自带的 `paddle.Model`，再用 `ImageClassifier`
# （修好了若干问题的 `paddle.Model`）评估 `resnet20`，然后训练几步。
#
# **猜一猜：** 评估用 250 张图像，批大小依次为 100、100、50。`paddle.Model.evaluate` 报告的损失是哪一个？

# %%
from paddle_resnet import ImageClassifier, resnet20


class Normalized(paddle.io.Dataset):
    """CIFAR-10 images as float32 arrays, normalized as in the training of resnet20."""

    def __init__(self, data, count):
        self.images = (data.images[:count] / np.float32(255) - mean) / std
        self.labels = data.labels[:count]

    def __getitem__(self, index):
        return self.images[index], self.labels[index : index + 1]

    def __len__(self):
        return len(self.labels)


network = resnet20(pretrained=True)
network.eval()
data = Normalized(test, 250)
with paddle.no_grad():
    logits = network(paddle.to_tensor(data.images))
labels = paddle.to_tensor(data.labels)
print(f"by hand, all 250 images: {float(F.cross_entropy(logits, labels)):.4f}")
print(f"by hand, the last 50:    {float(F.cross_entropy(logits[200:], labels[200:])):.4f}")
for kind in (paddle.Model, ImageClassifier):
    model = kind(network)
    model.prepare(None, nn.CrossEntropyLoss(), paddle.metric.Accuracy())
    found = model.evaluate(data, batch_size=100, verbose=0)
    print(f"{kind.__name__:16} loss {float(np.mean(found['loss'])):.4f}  acc {found['acc']:.3f}")

# %% [markdown] lang="en"
# **Answer.** `paddle.Model` reports the loss of the *last batch*; `ImageClassifier` the mean over all
# images. `docs/paddle_model.md` lists every such fault with its test.
#
# Now the fourteen lines of the tutorial: a network, an optimizer, a loss, a metric, `fit`.

# %% [markdown] lang="zh"
# **答案。** `paddle.Model` 报告的是*最后一批*的损失；`ImageClassifier` 报告全部图像的平均。
# `docs/zh/paddle_model.md` 列出了所有这类问题，每一个都有对应的测试。
#
# 下面就是教程里的“十四行”：网络、优化器、损失、指标、`fit`。

# %%
train = Cifar10(mode="train")
paddle.seed(0)
model = ImageClassifier(resnet20(num_classes=10))
model.prepare(
    paddle.optimizer.Momentum(0.05, parameters=model.parameters(), weight_decay=1e-4),
    nn.CrossEntropyLoss(),
    paddle.metric.Accuracy(),
)
history = model.fit(
    Normalized(train, 500), Normalized(test, 250), epochs=2, batch_size=25, verbose=0
)
print({key: [round(float(np.mean(v)), 3) for v in history[key]] for key in ("loss", "val_acc")})

# %% [markdown] lang="en"
# Two passes over 500 images are no training, but the loss falls. The recipe that reaches 92 % is one command: `paddle-resnet train -c resnet20_cifar10`.
#
# ## 6. Where does the trained network look?
#
# Last, the other end of the line: a trained network's answer, and the pixels that speak for it (Grad-CAM).

# %% [markdown] lang="zh"
# 500 张图像看两遍算不上训练，不过损失在下降。达到 92 % 的配方只要一条命令：
# `paddle-resnet train -c resnet20_cifar10`。
#
# ## 6. 训练好的网络在看哪里？
#
# 最后看看传话链的另一头：训练好的网络给出的答案，以及支持这个答案的像素（Grad-CAM）。

# %% tags=["slow"]
from paddle_resnet.studies import saliency

saliency(lang=LANG)

# %% [markdown] lang="en"
# **In one sentence:** after 36 layers of whispering 30 % against 12 % of the pictures can still be named, because `+ x` passes the message on.
#
# **Exercises**
# 1. Run `telephone(seeds=1, depth=56)`: fewer units. Does the plain line still reach chance?
# 2. In section 1, put `nn.initializer.Dirac` into both convolutions of the plain unit. Can it do nothing
#    now?
# 3. In section 2, replace the sum by 0.5 (F(x) + x). Who forgets faster?

# %% [markdown] lang="zh"
# **一句话总结：** 经过 36 层“传话”，还能认出的图像大约是 30 % 对 12 %，因为 `+ x` 把话原样带了下去。
#
# **练习**
# 1. 运行 `telephone(seeds=1, depth=56)`：单元更少。普通网络那条线还会跌到随机水平吗？
# 2. 在第 1 节里，给普通单元的两个卷积都用上 `nn.initializer.Dirac`。现在它能“什么都不做”了吗？
# 3. 在第 2 节里，把和改成 0.5 (F(x) + x)。谁忘得更快？
