# %% [markdown] lang="en"
# # Lesson 5: Why ResNets work
#
# The lecture says: if W = 0 and b = 0, a residual block is the identity; weight decay pushes it there; so
# more layers do no harm. We test each of the three sentences.

# %% [markdown] lang="zh"
# # 第 5 课：残差网络为什么有效
#
# 课上是这样讲的：若 W = 0 且 b = 0，残差块就是恒等映射；权重衰减会把它推向那里；所以多加几层没有坏处。这三句话我们逐一检验。

# %% [markdown] lang="en"
# ## 1. W = 0 and b = 0
#
# a[l+2] = g(W a[l+1] + b + a[l]) with g = ReLU: in the lecture's letters a[l] is the block's input x, and
# W a[l+1] + b is its branch F(x).
#
# **Guess:** for which inputs is the block the identity if W and b are zero?

# %% [markdown] lang="zh"
# ## 1. W = 0 且 b = 0
#
# a[l+2] = g(W a[l+1] + b + a[l])，其中 g 是 ReLU：在课上的记号里，a[l] 是块的输入 x，W a[l+1] + b 就是支路 F(x)。
#
# **猜一猜：** W 和 b 为零时，对哪些输入，这个块是恒等映射？

# %%
import numpy as np
import paddle
from paddle.nn import functional as F

from paddle_resnet import BasicBlock

paddle.seed(0)
block = BasicBlock(16, 16)
for unit in (block.conv1, block.conv2):
    unit.conv.weight.set_value(paddle.zeros(unit.conv.weight.shape))
block.eval()
any_signs = paddle.randn([1, 16, 8, 8])
for name, x in (("behind a ReLU", F.relu(any_signs)), ("with any signs", any_signs)):
    print(f"{name:15} identity to the bit: {bool((block(x) == x).all())}")

# %% [markdown] lang="en"
# **Answer.** For inputs that are not negative, as they are behind a ReLU. Now decay.
#
# ## 2. Does weight decay lead there?
#
# Decay multiplies weights by a factor a little below 1 in each step. We shrink the convolutions of a
# block and watch F(x).
#
# **Guess:** the convolutions are a hundred times smaller. What happens to F(x)?

# %% [markdown] lang="zh"
# **答案。** 对非负的输入成立，ReLU 之后正是如此。下面看权重衰减。
#
# ## 2. 权重衰减会走到那里吗？
#
# 权重衰减每一步都把权重乘上一个略小于 1 的因子。我们缩小一个块的卷积权重，观察 F(x)。
#
# **猜一猜：** 卷积权重缩小到百分之一，F(x) 会怎样？

# %%
paddle.seed(0)
x = F.relu(paddle.randn([8, 16, 16, 16]))
for what in ("convolutions", "gamma"):
    row = []
    for factor in (1, 0.1, 0.01):
        paddle.seed(1)
        block = BasicBlock(16, 16)  # in training mode: batch statistics
        for unit in (block.conv1, block.conv2):
            shrunk = unit.conv.weight if what == "convolutions" else unit.bn.weight
            shrunk.set_value(shrunk * factor)
        with paddle.no_grad():
            branch = block.conv2(block.conv1(x))
        row.append(f"x{factor:<5g} {float(branch.norm() / x.norm()):.3f}")
    print(f"{what:12} ||F|| / ||x||:", "   ".join(row))

# %% [markdown] lang="en"
# **Answer.** To the convolutions hardly anything: batch normalization divides by the standard deviation and cancels the
# scale, up to its small epsilon. Decay leads to the identity only if it may touch gamma, which many
# recipes forbid. Now in a trained network:

# %% [markdown] lang="zh"
# **答案。** 缩小卷积，F(x) 几乎不变：批归一化要除以标准差，尺度被抵消了（只差那个很小的 epsilon）。只有允许衰减作用于 gamma，它才会走向恒等映射，而许多配方恰恰不让。
# 再看训练好的网络：

# %% tags=["slow"]
from paddle_resnet.studies import decay

decay(
    factors=[1.0, 0.4, 0.1, 0.0], test_images=200, compared_images=100, settle_images=640, lang=LANG
)

# %% [markdown] lang="en"
# ## 3. Do more layers do no harm?
#
# Lesson 1 added blocks to a trained network, lesson 2 trained deep networks from scratch. Here we train
# briefly, once with gamma = 0 at the start and once without gamma = 0.
#
# **Guess:** does a residual network of 56 layers, without any trick, beat the one of 20 layers after a
# few steps?

# %% [markdown] lang="zh"
# ## 3. 多加几层没有坏处吗？
#
# 第 1 课给训练好的网络加块，第 2 课从头训练很深的网络。这里我们短暂训练一下，比较开始时令 gamma = 0 与不令 gamma = 0。
#
# **猜一猜：** 不用任何技巧，56 层残差网络训练几步之后能胜过 20 层的吗？

# %%
from paddle_resnet import Cifar10, ResNet
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD

train = Cifar10(mode="train")
mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
pixels = (train.images[:320] / np.float32(255) - mean) / std
pixels = pixels.reshape(-1, 3, 16, 2, 16, 2).mean(axis=(3, 5))  # half the size: 16 pixels


def first_losses(blocks, zero, steps=10):
    paddle.seed(0)
    network = ResNet(
        (blocks,) * 3,
        "basic",
        10,
        widths=(8, 16, 32),
        stem="cifar",
        shortcut="A",
        zero_init_residual=zero,
    )
    optimizer = paddle.optimizer.Momentum(0.05, 0.9, network.parameters())
    losses = []
    for step in range(steps):
        part = slice(step * 32 % 320, step * 32 % 320 + 32)
        loss = F.cross_entropy(
            network(paddle.to_tensor(pixels[part])), paddle.to_tensor(train.labels[part])
        )
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    return losses


for depth, blocks in ((20, 3), (56, 9)):
    for zero in (False, True):
        losses = first_losses(blocks, zero)
        print(
            f"depth {depth}, gamma = 0: {zero!s:5}  first loss {losses[0]:5.2f}, mean of ten {np.mean(losses):5.2f}"
        )

# %% [markdown] lang="en"
# **Answer.** Without gamma = 0, the deeper network starts from a larger loss: its activations add up
# over 27 blocks. With gamma = 0 both start alike. More layers do no harm *if the start is the identity*.
#
# ## 4. Do shortcuts smooth the loss?
#
# The picture everyone knows (Li 2018): a rugged landscape without shortcuts, a bowl with them. We walk
# straight lines through trained small networks.
#
# **Guess:** is the difference there at 20 layers already?

# %% [markdown] lang="zh"
# **答案。** 不令 gamma = 0 时，更深的网络一开始的损失更大：27 个块的激活逐块累加。令 gamma = 0 时两者起点相同。
# *只要起点是恒等映射*，多加几层就没有坏处。
#
# ## 4. 捷径连接会让损失曲面变平滑吗？
#
# 那张人人都见过的图（Li 2018）：没有捷径时崎岖不平，有捷径时像一只碗。我们在训练好的小网络里沿直线走一走。
#
# **猜一猜：** 20 层时就看得出差别吗？

# %% tags=["slow"]
from paddle_resnet.studies import landscape

landscape(points=15, images=100, images_deep=100, plane=False, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** At 20 layers there is nothing to tell; at 56 the plain network's lines turn up and down. But
# the plain network of 56 layers is shown where its training got stuck, so losses are not equal: the
# verdict says so.
#
# **In one sentence:** F → 0 is easy; decay does it only if it may touch gamma.
#
# **Exercises**
# 1. Which recipes of this package let decay touch gamma? Search for `decay_norm_and_bias` with
#    `paddle-resnet train -c resnet20_cifar10_paper --show`.
# 2. In section 2, shrink both gamma and beta of `conv2` alone. Is that enough for the identity?
# 3. In section 1, give the block a bias: set beta of `conv2` to -1. Which inputs survive?

# %% [markdown] lang="zh"
# **答案。** 20 层时看不出差别；56 层时，普通网络的曲线忽上忽下。不过 56 层普通网络展示的是它训练卡住的地方，两者的损失并不相等：结论里写明了这一点。
#
# **一句话总结：** F → 0 很容易；但只有允许衰减作用于 gamma 时，权重衰减才做得到。
#
# **练习**
# 1. 本项目的哪些配方让衰减作用于 gamma？用 `paddle-resnet train -c resnet20_cifar10_paper --show` 查找 `decay_norm_and_bias`。
# 2. 在第 2 节里，只缩小 `conv2` 的 gamma 和 beta。这样够得到恒等映射吗？
# 3. 在第 1 节里给块加上偏置：把 `conv2` 的 beta 设为 -1。哪些输入能保留下来？
