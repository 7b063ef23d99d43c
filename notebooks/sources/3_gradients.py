# %% [markdown] lang="en"
# # Lesson 3: Gradients far from the loss
#
# A layer far from the loss gets its gradient through all layers behind it. What is lost on the way, its
# size or its direction? And what makes the way shorter?

# %% [markdown] lang="zh"
# # 第 3 课：远离损失函数的梯度
#
# 离损失函数很远的层，梯度要穿过后面所有的层才能到达。路上丢失的是大小，还是方向？怎样才能让这条路变短？

# %% [markdown] lang="en"
# ## 1. Every gradient is a sum of paths
#
# Three residual units in a row: h1 = h0 + F1(h0), h2 = h1 + F2(h1), h3 = h2 + F3(h2). Multiply out the
# Jacobians: (1 + J3)(1 + J2)(1 + J1) is a sum of 8 terms, from 1 (all shortcuts) to J3 J2 J1.
#
# **Guess:** do the 8 path gradients really add up to what `paddle.grad` computes?

# %% [markdown] lang="zh"
# ## 1. 梯度是许多路径之和
#
# 三个残差单元相连：h1 = h0 + F1(h0)，h2 = h1 + F2(h1)，h3 = h2 + F3(h2)。把雅可比矩阵乘开：
# (1 + J3)(1 + J2)(1 + J1) 是 8 项之和，从 1（全走捷径）到 J3 J2 J1。
#
# **猜一猜：** 这 8 条路径的梯度加起来，真的等于 `paddle.grad` 算出的梯度吗？

# %%
import itertools

import numpy as np
import paddle
from paddle.nn import functional as F

paddle.seed(0)
layers = [paddle.nn.Linear(8, 8) for _ in range(3)]
functions = [lambda h, layer=layer: paddle.tanh(layer(h)) for layer in layers]
weights = paddle.randn([8])
h = paddle.randn([1, 8])
h.stop_gradient = False
h0, inputs = h, []
for function in functions:
    inputs.append(h)
    h = h + function(h)
(whole,) = paddle.grad((h * weights).sum(), h0)


def path_gradient(through):
    """Multiply the gradient by the Jacobians of the units that the path goes through."""
    gradient = weights.reshape([1, 8])
    for function, x, chosen in zip(functions[::-1], inputs[::-1], through[::-1]):
        if chosen:
            x = x.detach()
            x.stop_gradient = False
            (gradient,) = paddle.grad(function(x), x, grad_outputs=gradient)
    return gradient.numpy()


total = np.zeros([1, 8])
for through in itertools.product([0, 1], repeat=3):
    gradient = path_gradient(through)
    total += gradient
    print(through, f"length {sum(through)}, norm {np.linalg.norm(gradient):.3f}")
print(f"largest difference to paddle.grad: {np.abs(total - whole.numpy()).max():.0e}")

# %% [markdown] lang="en"
# **Answer.** They do. One path, (0, 0, 0), reaches the first layer without passing any function. In a
# plain network only (1, 1, 1) is left.
#
# ## 2. Which way does the gradient take in a trained network?

# %% [markdown] lang="zh"
# **答案。** 相等。其中一条路径 (0, 0, 0) 不经过任何函数就到达第一层。普通网络只剩下 (1, 1, 1) 这一条。
#
# ## 2. 在训练好的网络里，梯度走哪条路？

# %% tags=["slow"]
from paddle_resnet.studies import paths

paths(sets=5, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** In the small ResNet-56 the gradient takes short paths: 4.7 of 27 blocks, where half of them
# would be 13.5. In `resnet20` it does not: 4.6 of 9. "Short paths carry the gradient" is no law.
#
# ## 3. Does the gradient still point the same way one step further on?
#
# A step of gradient descent trusts that the gradient nearby is the gradient here. We move an image by
# 1 % of its norm and compare the two gradients by their cosine.
#
# **Guess:** untrained networks of 56 layers: what is the cosine with shortcuts, and what without?

# %% [markdown] lang="zh"
# **答案。** 在小型 ResNet-56 里，梯度走短路径：27 个块中平均经过 4.7 个，而一半应是 13.5 个。在 `resnet20` 里则不然：
# 9 个块中经过 4.6 个。“短路径承载梯度”并不是定律。
#
# ## 3. 再走一小步，梯度还指向同一个方向吗？
#
# 梯度下降的每一步都相信：附近的梯度就是此处的梯度。我们把图像移动其范数的 1 %，用余弦比较前后两个梯度。
#
# **猜一猜：** 未经训练的 56 层网络，有捷径连接时余弦是多少？没有时呢？

# %%
from paddle_resnet import Cifar10, plain56, resnet56
from paddle_resnet.data import CIFAR10_MEAN, CIFAR10_STD

test = Cifar10(mode="test")
mean, std = (np.float32(v).reshape(1, 3, 1, 1) for v in (CIFAR10_MEAN, CIFAR10_STD))
images = paddle.to_tensor((test.images[:40] / np.float32(255) - mean) / std)


def input_gradient(network, x):
    """d logit 0 / d x of each image, as vectors."""
    x = x.detach()
    x.stop_gradient = False
    return paddle.grad(network(x)[:, 0].sum(), x)[0].flatten(1)


for name, make in (("plain56", plain56), ("resnet56", resnet56)):
    paddle.seed(0)
    network = make(num_classes=10)
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer._momentum = 0.0  # one pass sets the running statistics
    with paddle.no_grad():
        network(images)
    network.eval()
    x = images[:10]
    noise = paddle.randn(x.shape)
    noise *= (x.flatten(1).norm(axis=1) / noise.flatten(1).norm(axis=1)).reshape([-1, 1, 1, 1])
    here, row = input_gradient(network, x), []
    for step in (0.001, 0.01, 0.1):
        cosine = F.cosine_similarity(here, input_gradient(network, x + step * noise)).mean()
        row.append(f"step {step:g}: {float(cosine):+.2f}")
    print(f"{name:9}", "  ".join(row))

# %% tags=["slow"]
from paddle_resnet.studies import shattering

shattering(depths=[20, 56], images=10, seeds=1, mlp_points=128, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** Without shortcuts, after a hundredth of the image's norm the gradient points anywhere
# ("shattered gradients", Balduzzi 2017). Its size is fine; its direction is worth nothing one step on.
#
# ## 4. How large is the gradient of the weights?

# %% [markdown] lang="zh"
# **答案。** 没有捷径连接时，图像只移动范数的百分之一，梯度就指向了任意方向（“梯度破碎”，Balduzzi 2017）。
# 它的大小没有问题，只是方向走一步就没用了。
#
# ## 4. 权重的梯度有多大？

# %% tags=["slow"]
from paddle_resnet.studies import signal

signal(depths=[20, 56], images=20, lang=LANG)

# %% [markdown] lang="en"
# **Answer.** With batch normalization the first layers of a plain network get the *largest* gradients.
# Without it and with small weights, they get nothing. (The rule that is not met is made for 110
# layers: run `signal()`.)
#
# ## 5. A mistake that is easy to make: ReLU before the sum
#
# Some tutorials write `relu(F(x)) + x`. Then F can only add.
#
# **Guess:** what happens to the mean of the activations over 56 layers? And to the gradient?

# %% [markdown] lang="zh"
# **答案。** 有批归一化时，普通网络最前面的层梯度*最大*。没有归一化、权重又小时，它们什么都得不到。
# （没有满足的那条判据是为 110 层定的：运行 `signal()` 即可。）
#
# ## 5. 一个容易犯的错误：在相加之前做 ReLU
#
# 有些教程写成 `relu(F(x)) + x`。这样 F 就只能加，不能减。
#
# **猜一猜：** 经过 56 层，激活的均值会怎样？梯度呢？

# %%
for early in (False, True):
    paddle.seed(0)
    network = resnet56(num_classes=10, early_relu=early)
    with paddle.no_grad():
        means = [float(f.mean()) for f in network.features(images)]
    print(f"early ReLU: {early!s:5}  mean after each stage: {[round(m, 2) for m in means]}")

# %% [markdown] lang="en"
# **Answer.** The mean grows with every block. The gradient is not the problem: it even looks better (the
# study `shortcuts` measures both). A sentence that is plausible need not be the reason.
#
# **In one sentence:** direction is lost before size is.
#
# **Exercises**
# 1. In section 1, make the functions ten times as large. Which path lengths carry most now?
# 2. In section 3, try `norm_layer=None`. Does a plain network without batch normalization shatter?
# 3. Run `shortcuts(depths=[20, 56])` and find the row of early ReLU.

# %% [markdown] lang="zh"
# **答案。** 每过一个块，均值就变大一些。问题不在梯度：它看上去甚至更好（研究 `shortcuts` 两者都测了）。听起来有道理的话不一定就是原因。
#
# **一句话总结：** 先丢失的是方向，而不是大小。
#
# **练习**
# 1. 在第 1 节里把各函数放大十倍。现在哪些长度的路径贡献最大？
# 2. 在第 3 节里试试 `norm_layer=None`。没有批归一化的普通网络，梯度也会破碎吗？
# 3. 运行 `shortcuts(depths=[20, 56])`，找到 early ReLU 那一行。
