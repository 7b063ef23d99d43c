# %% [markdown] lang="en"
# # Lesson 2: Why did depth fail, and why does `+ x` help?
#
# Every text says it: in deep networks gradients vanish, and shortcuts cure it. We measure both claims.
# One of them turns out to be half of the truth.

# %% [markdown] lang="zh"
# # 第 2 课：为什么网络加深会失败？`+ x` 又为什么有用？
#
# 几乎每本教材都说：深层网络会梯度消失，捷径连接能治好它。我们把这两个说法都测一测。
# 其中一个只说对了一半。

# %% [markdown] lang="en"
# ## 1. A product of 50 numbers
#
# The gradient at the first layer is a product of one factor per layer.
#
# **Guess:** what is 0.5 to the power of 50? And 1.4 to the power of 50? And what becomes of the product
# if each factor is 1 + f with f near 0?

# %% [markdown] lang="zh"
# ## 1. 50 个数的连乘
#
# 第一层的梯度是一个连乘：每层贡献一个因子。
#
# **猜一猜：** 0.5 的 50 次方是多少？1.4 的 50 次方呢？如果每个因子都是 1 + f，而 f 接近 0，结果又如何？

# %%
import numpy as np

f = np.random.RandomState(0).normal(0, 0.1, size=50)
print(f"0.5^50 = {0.5**50:.0e}   1.4^50 = {1.4**50:.0e}   product of 1 + f: {np.prod(1 + f):.2f}")

# %% [markdown] lang="en"
# A sum in each factor keeps the product near 1. That is the idea; now the networks.
#
# ## 2. The degradation problem: 20 layers against 56
#
# We train plain and residual networks on 5,000 images at half size (16 pixels), which takes a minute.
#
# **Guess:** whose *training* loss is the lowest after 4 epochs? If a deeper network overfitted, its
# training loss would be the lower one.

# %% [markdown] lang="zh"
# 每个因子里有一个加法，连乘就保持在 1 附近。道理如此，下面看真实的网络。
#
# ## 2. 退化问题：20 层对 56 层
#
# 我们在 5,000 张缩小一半（16 像素）的图像上训练普通网络和残差网络，大约一分钟。
#
# **猜一猜：** 训练 4 轮之后，谁的*训练*损失最低？假如深层网络只是过拟合，它的训练损失反而应该更低。

# %% tags=["slow"]
from paddle_resnet.studies import degradation

degradation(seeds=1, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** The plain network of 56 layers hardly leaves ln 10 = 2.303, a blind guess, on its own
# training images. That is no overfitting. The residual network of 56 layers trains as well as that of 20.
#
# ## 3. Is it the vanishing gradient?
#
# Before any training, on 60 images: how large is the gradient at each block? Its ratio, first block over
# last block, is called R from here on.
#
# **Guess:** in a plain network of 56 layers with batch normalization, is the gradient of the first
# blocks smaller or larger than that of the last?

# %% [markdown] lang="zh"
# **答案。** 56 层普通网络在自己的训练图像上几乎没有离开 ln 10 = 2.303，也就是瞎猜的损失。这不是过拟合。
# 56 层残差网络则与 20 层的训练得一样好。
#
# ## 3. 是梯度消失造成的吗？
#
# 训练开始之前，用 60 张图像测量每个块上的梯度有多大。第一个块与最后一个块的梯度之比，以后记作 R。
#
# **猜一猜：** 带批归一化的 56 层普通网络里，最前面的块的梯度比最后面的小，还是大？

# %%
import paddle
from paddle.nn import functional as F

from paddle_resnet import Cifar10, plain56, resnet56
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD

train = Cifar10(mode="train")
mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
images = paddle.to_tensor((train.images[:60] / np.float32(255) - mean) / std)
labels = paddle.to_tensor(train.labels[:60])


def gradient_norms(make, **options):
    """||d loss / d h|| behind the first and last block of stage 1, and behind the last of all."""
    paddle.seed(0)
    network = make(num_classes=10, **options)
    h, kept = network.run_stage("conv1", images), []
    for stage in ("layer1", "layer2", "layer3"):
        for block in getattr(network, stage):
            h = block(h)
            kept.append(h)
    loss = F.cross_entropy(network.forward_head(h), labels)
    return [float(g.norm()) for g in paddle.grad(loss, kept)]


for name, make, options in (
    ("plain56", plain56, {}),
    ("resnet56", resnet56, {}),
    ("resnet56, gamma = 0", resnet56, {"zero_init_residual": True}),
):
    norms = gradient_norms(make, **options)
    print(
        f"{name:20} first block {norms[0]:8.2g}   last block {norms[-1]:8.2g}   ratio {norms[0] / norms[-1]:8.2g}"
    )

# %% tags=["slow"]
from paddle_resnet.studies import signal

signal(depths=[20, 56], images=20, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** With batch normalization the plain gradient does not vanish: it *explodes* towards the
# input, about 1.4 times per block. It vanishes only without normalization and with small weights. And a
# residual network without normalization explodes too: shortcuts alone do not cure it. Both together do.
# (The rule that is not met asks for more than a million, which takes 110 layers: run `signal()`.)
#
# After training, the collapsed plain network of section 2 does have a vanishing gradient (R after
# training, in its table): as the result of the collapse, not as its cause.
#
# ## 4. The sum of 2^n ways
#
# With shortcuts, the gradient is a sum over paths: each block is passed through F or by the shortcut.
# Of `resnet20`'s 9 blocks there are 512.
#
# **Guess:** which paths carry the gradient: the short ones, through few blocks, or the long ones?

# %% [markdown] lang="zh"
# **答案。** 有了批归一化，普通网络的梯度并没有消失，而是向输入方向*爆炸*，每个块大约 1.4 倍。
# 只有不做归一化、权重又小时它才消失。而没有归一化的残差网络同样会爆炸：光靠捷径连接治不好，两者要配合。
# （没有满足的那条判据要求超过一百万倍，那需要 110 层：运行 `signal()` 即可。）
#
# 训练之后，第 2 节里坍缩的普通网络确实梯度消失了（看那里表中训练后的 R）：这是坍缩的结果，不是原因。
#
# ## 4. 2^n 条路径之和
#
# 有了捷径连接，梯度就是许多路径之和：每个块要么经过 F，要么走捷径。`resnet20` 有 9 个块，共 512 条路径。
#
# **猜一猜：** 梯度主要走哪些路径：只经过少数几个块的短路径，还是长路径？

# %% tags=["slow"]
from paddle_resnet.studies import paths

paths(sets=5, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** All 512 add up to the gradient exactly (to rounding). That short paths carry it (Veit 2016)
# is so in the small ResNet-56, but not in `resnet20`, whose blocks all matter.
#
# **In one sentence:** with batch normalization the plain gradient explodes rather than vanishes; the sum
# keeps it; of 27 blocks most matter little, of 9 they all matter.
#
# **Exercises**
# 1. `degradation(seeds=1, zero_gamma=False)`: without gamma = 0, is the residual network of 56 layers
#    still as good? What does that say about "residual networks train deeper out of the box"?
# 2. `degradation(seeds=1, learning_rate=0.02)`: does a smaller rate save the plain network?
# 3. In section 3, give `plain56` the option `norm_layer=None`. What happens to the ratio?

# %% [markdown] lang="zh"
# **答案。** 512 条路径之和正好等于梯度（只差舍入误差）。“短路径承载梯度”（Veit 2016）在小型 ResNet-56 里成立，在 `resnet20` 里则不成立，它的每个块都重要。
#
# **一句话总结：** 有了批归一化，普通网络的梯度不是消失而是爆炸；加法保住了它；27 个块里大多数影响很小，9 个块则个个重要。
#
# **练习**
# 1. 运行 `degradation(seeds=1, zero_gamma=False)`：不令 gamma = 0，56 层残差网络还一样好吗？这对“残差网络天生就能训练得更深”说明了什么？
# 2. 运行 `degradation(seeds=1, learning_rate=0.02)`：更小的学习率能救普通网络吗？
# 3. 在第 3 节里给 `plain56` 加上选项 `norm_layer=None`。比值会怎样？
