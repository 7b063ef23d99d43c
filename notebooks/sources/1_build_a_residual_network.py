# %% [markdown] lang="en"
# # Lesson 1: How does one build a deep residual network?
#
# ResNet-50 from two parts, `ConvBNLayer` and `BottleneckBlock`; what "50" counts; what the shortcut
# does where shapes change; and why a deeper network can start as the shallower one, to the bit.

# %% [markdown] lang="zh"
# # 第 1 课：怎样搭一个很深的残差网络？
#
# 用 `ConvBNLayer` 和 `BottleneckBlock` 两种部件搭出 ResNet-50；弄清“50”数的是什么；形状改变时捷径连接（也叫残差连接）怎么办；
# 以及为什么更深的网络可以从较浅的网络出发，一个比特都不差。

# %% [markdown] lang="en"
# ## 1. The parts
#
# A bottleneck block reduces the channels (1x1), works on them (3x3), restores four times as many
# (1x1), and adds its input. `ConvBNLayer` is a convolution with batch normalization, and with ReLU if
# `act="relu"`. In a `nn.Layer`, `__init__` makes the parts and `forward` says how the input passes them.
#
# **Guess:** how many convolutions does ResNet-50 have: 49, 50 or 53?

# %% [markdown] lang="zh"
# ## 1. 部件
#
# 瓶颈块先用 1x1 卷积减少通道，再做 3x3 卷积，然后用 1x1 卷积恢复到四倍通道，最后加上输入。
# `ConvBNLayer` 是卷积加批归一化，写上 `act="relu"` 时再加 ReLU。在 `nn.Layer` 里，`__init__` 造出各个部件，
# `forward` 规定输入怎样依次经过它们。
#
# **猜一猜：** ResNet-50 有多少个卷积：49、50 还是 53？

# %%
import paddle
from paddle import nn
from paddle.nn import functional as F

from paddle_resnet import BottleneckBlock, ConvBNLayer


class MyResNet50(nn.Layer):
    """1 convolution, 16 blocks of 3 convolutions, 1 linear layer."""

    def __init__(self, num_classes=1000):
        super().__init__()
        self.stem = ConvBNLayer(3, 64, 7, stride=2, act="relu")
        self.pool = nn.MaxPool2D(3, stride=2, padding=1)
        blocks, channels = [], 64
        for stage, number in enumerate([3, 4, 6, 3]):
            for i in range(number):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(BottleneckBlock(channels, 64 * 2**stage, stride))
                channels = 4 * 64 * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.blocks(self.pool(self.stem(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


paddle.seed(0)
mine = MyResNet50()
convolutions = [name for name, layer in mine.named_sublayers() if isinstance(layer, nn.Conv2D)]
projections = [name for name in convolutions if "downsample" in name]
print(f"{len(convolutions)} convolutions, {len(projections)} of them projections on a shortcut:")
print(projections)
print("output:", tuple(mine(paddle.zeros([1, 3, 64, 64])).shape))

# %% [markdown] lang="en"
# **Answer.** There are 53: 49 on the main path and 4 projections, where a shortcut must change its
# shape. "ResNet-50" counts the 49 and the linear layer.
#
# The package's own `resnet50` and `paddle.vision`'s have the same layers. Do they compute the same?

# %% [markdown] lang="zh"
# **答案。** 一共 53 个：主路上 49 个，另外 4 个是投影，用在捷径连接必须改变形状的地方。“ResNet-50”数的是那 49 个再加上全连接层。
#
# 本项目的 `resnet50` 与 `paddle.vision` 的层完全相同。它们算出来的结果也一样吗？

# %%
from paddle_resnet import count, resnet50

ours = resnet50(num_classes=10)
theirs = paddle.vision.models.resnet50(num_classes=10)
print("same names of weights:", set(ours.state_dict()) == set(theirs.state_dict()))
theirs.set_state_dict(ours.state_dict())
ours.eval()
theirs.eval()
image = paddle.randn([1, 3, 64, 64])
with paddle.no_grad():
    difference = float((ours(image) - theirs(image)).abs().max())
print(f"largest difference of a logit: {difference:.0e}")
total = count(resnet50(num_classes=1000), [3, 224, 224])
print(f"{total.total('parameters'):,} parameters")
print(f"{total.total('macs'):,} multiplications per image of 224 pixels")

# %% [markdown] lang="en"
# Only rounding differs. `paddle-resnet compare resnet50` shows the two side by side: weights, gradients,
# speed, memory; `docs/paddle_model.md` does the same for `paddle.Model`.
#
# ## 2. Small images want a small stem
#
# The stem of ImageNet divides the side by 4 before the first block.
#
# **Guess:** what is left of a 32-pixel image at the last stage?

# %% [markdown] lang="zh"
# 只差舍入误差。`paddle-resnet compare resnet50` 把两者并排比较：权重、梯度、速度、内存；`docs/zh/paddle_model.md` 则对 `paddle.Model` 做同样的事。
#
# ## 2. 小图像要用小的首层
#
# ImageNet 的首层在第一个块之前就把边长除以 4。
#
# **猜一猜：** 32 像素的图像到最后一个阶段还剩多大？

# %%
from paddle_resnet import resnet18

for stem in ("imagenet", "cifar"):
    network = resnet18(num_classes=10, stem=stem)
    network.eval()
    with paddle.no_grad():
        sizes = [tuple(f.shape[2:]) for f in network.features(paddle.zeros([1, 3, 32, 32]))]
    macs = count(network, [3, 32, 32]).total("macs")
    print(f"{stem:8}  {macs:11,} multiplications  sizes {sizes}")

# %% [markdown] lang="en"
# **Answer.** A single pixel: the last two 3x3 convolutions see mostly zeros of the border. The CIFAR
# stem (3x3, stride 1) keeps 4x4, at fifteen times the cost.
#
# ## 3. What may stand on the shortcut?
#
# Where shapes change, the shortcut has options: A (every second pixel and channels of zeros), B (a
# projection there), C (projections everywhere, also where the identity would do).
#
# **Guess:** C has the most parameters. Is it the best?

# %% [markdown] lang="zh"
# **答案。** 只剩一个像素：最后两个 3x3 卷积看到的几乎全是边界上补的零。CIFAR 首层（3x3，步长 1）保留 4x4，代价是十五倍的计算。
#
# ## 3. 捷径连接上可以放什么？
#
# 形状改变的地方，捷径有几种做法：A（隔一个像素取一个，多出的通道补零）、B（只在这里用投影）、C（处处用投影，即使恒等映射就够）。
#
# **猜一猜：** C 的参数最多。它最好吗？

# %% tags=["slow"]
from paddle_resnet.studies import shortcuts

shortcuts(depths=[20, 56], images=20, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** Under the verdict stand the drawings and a table; the whole page is written by
# `paddle-resnet study shortcuts --html page.html`. R is the gradient at the first layers over that at the
# last ones. With C it grows as in a
# plain network: a projection multiplies at every block, so the way back is a product again. *Keep the
# shortcut clean.*
#
# ## 4. Start as the shallower network
#
# The argument behind residual networks: a deeper network cannot be worse, for its extra layers could do
# nothing. Let us add blocks to a trained network and see whether they can. Batch normalization ends
# with a factor gamma per channel: with gamma = 0 in a block's last one, F(x) = 0 and the block puts out
# its input.
#
# **Guess:** `resnet20` is right for 92 % of the test images. What remains with one more block in each
# stage, (a) residual with gamma = 0, (b) without shortcut?

# %% [markdown] lang="zh"
# **答案。** 结论下面是图和表；`paddle-resnet study shortcuts --html page.html` 写出完整的页面。R 是最前几层的梯度与最后几层的梯度之比。用 C 时它像普通网络那样增长：每个块都乘上一个投影，反向传播又变回了连乘。
# *捷径要保持畅通。*
#
# ## 4. 从较浅的网络出发
#
# 残差网络背后的道理是：更深的网络不应该更差，因为多出来的层可以“什么都不做”。我们给训练好的网络加几个块，看它们做不做得到。
# 批归一化的最后一步是每个通道乘上一个系数 gamma：令块里最后一个批归一化的 gamma = 0，就有 F(x) = 0，块原样输出它的输入。
#
# **猜一猜：** `resnet20` 能判对 92 % 的测试图像。每个阶段再加一个块之后还剩多少？(a) gamma = 0 的残差块；(b) 没有捷径连接的块。

# %%
import numpy as np

from paddle_resnet import BasicBlock, Cifar10, resnet20
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD

test = Cifar10(mode="test")
mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
images = paddle.to_tensor((test.images[:200] / np.float32(255) - mean) / std)
labels = test.labels[:200]


def accuracy(network):
    network.eval()
    with paddle.no_grad():
        logits = network(images)
    return float((logits.argmax(axis=1).numpy() == labels).mean()), logits


base, base_logits = accuracy(resnet20(pretrained=True))
print(f"resnet20: {base:.3f}")
for kind, residual, gamma in (
    ("gamma = 0", True, 0.0),
    ("residual", True, 1.0),
    ("plain", False, 1.0),
):
    paddle.seed(0)
    deeper = resnet20(pretrained=True)
    for stage, channels in ((deeper.layer1, 16), (deeper.layer2, 32), (deeper.layer3, 64)):
        block = BasicBlock(channels, channels, residual=residual)
        block.conv2.bn.weight.set_value(paddle.full([channels], gamma))
        stage.add_sublayer(str(len(stage)), block)
    found, logits = accuracy(deeper)
    print(
        f"and 3 blocks, {kind:9}: {found:.3f}   same logits: {bool((logits == base_logits).all())}"
    )

# %% tags=["slow"]
from paddle_resnet.studies import identity

identity(counts=[1], test_images=300, settle_images=640, steps=20, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** With gamma = 0 every logit is equal, to the bit: the deeper network *is* the shallower one
# and can only improve from there. Plain blocks with random weights bring it down to chance, and so do
# residual ones with gamma = 1 as long as their statistics have not settled. Starting from gamma = 0 is
# `zero_init_residual=True`.
#
# ## 5. And the other way round: take blocks away
#
# **Guess:** a paper (Veit 2016) removes any one block of a 110-layer network, and hardly anything
# happens. Is that so for `resnet20`, which has 9 blocks?

# %% [markdown] lang="zh"
# **答案。** gamma = 0 时每个 logit 都相同，一个比特都不差：更深的网络*就是*较浅的网络，从这里只会变好。
# 随机权重的普通块则让它跌到随机水平；gamma = 1 的残差块在统计量稳定下来之前也是如此。
# 从 gamma = 0 出发，就是 `zero_init_residual=True`。
#
# ## 5. 反过来：拿走几个块
#
# **猜一猜：** 有一篇论文（Veit 2016）从 110 层的网络里去掉任意一个块，几乎没有影响。`resnet20` 只有 9 个块，也是这样吗？

# %% tags=["slow"]
from paddle_resnet.studies import lesion

lesion(test_images=500, sets=1, swap_up_to_blocks=0, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** "Does not hold here" is the honest verdict: of 9 blocks, each one matters; of 27 (the small
# ResNet-56), most matter little. A plain network loses everything with any block.
#
# **In one sentence:** a deeper network can start as the shallower one, to the bit.
#
# **Exercises**
# 1. Build ResNet-101 from section 1 (blocks 3, 4, 23, 3) and count its convolutions.
# 2. In section 4, add two blocks a stage. Are the logits still equal?
# 3. Which block of `resnet20` may be removed most cheaply? What do the first blocks of stages do that
#    others do not?

# %% [markdown] lang="zh"
# **答案。** 诚实的结论是“此处不成立”：只有 9 个块时，每一块都重要；有 27 个块时（小型 ResNet-56），大多数块影响很小。
# 普通网络去掉任何一块就全完了。
#
# **一句话总结：** 更深的网络可以从较浅的网络出发，一个比特都不差。
#
# **练习**
# 1. 照第 1 节搭出 ResNet-101（各阶段的块数为 3、4、23、3），数一数它的卷积。
# 2. 在第 4 节里，每个阶段加两个块。logits 还相同吗？
# 3. 去掉 `resnet20` 的哪一块代价最小？各阶段的第一个块做了哪些别的块不做的事？
