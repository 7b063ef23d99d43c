# Cells that notebooks/build.py puts behind the title of every lesson.

# %% [markdown] lang="en"
# *How to use this lesson: read the question, write down a guess, run the cell, compare. Every
# number below was measured on CIFAR-10 by the cell above it; yours may differ in the last digits.*
#
# *Words of Paddle that every lesson uses: `nn.Layer` is the base of every layer and network,
# `paddle.seed` fixes the random weights, `set_value` overwrites a weight, `paddle.no_grad` computes
# without gradients, `paddle.grad(y, x)` returns dy/dx for an `x` with `stop_gradient = False`, and
# `train()` and `eval()` let batch normalization use the batch's statistics or the stored ones.
# Logits are a network's outputs before softmax; the stem is what stands in front of the first block.*
#
# <details><summary><b>On AI Studio</b> (click)</summary>
#
# Paddle is installed there: keep it. Upload the project's folder to `~/work`. After each start of the
# environment, run in a cell above this one
#
# ```
# %cd ~/work
# %cd paddle_resnet
# !pip install -e '.[studies]'
# %env PADDLE_RESNET_CACHE=.cache
# ```
#
# Files in `~/work` last; `~/data` and installed packages are reset at each start. A CIFAR-10 that is
# mounted in `~/data` is found. Two CPU cores are enough for this lesson.
# </details>

# %% [markdown] lang="zh"
# *用法：先读问题，写下自己的猜测，再运行单元格，对照结果。文中的数字都是用 CIFAR-10 在其上方的单元格里实测得到的；
# 换一台机器，末位数字可能略有不同。*
#
# *每一课都会用到的飞桨用语：`nn.Layer` 是所有层和网络的基类，`paddle.seed` 固定随机权重，`set_value` 改写一个权重，
# `paddle.no_grad` 计算时不求梯度，`paddle.grad(y, x)` 对设了 `stop_gradient = False` 的 `x` 返回 dy/dx，
# `train()` 与 `eval()` 分别让批归一化使用当前批的统计量或已存的统计量。
# logits 是网络在 softmax 之前的输出；首层（stem）是第一个块前面的部分。*
#
# <details><summary><b>在 AI Studio 上运行</b>（点击展开）</summary>
#
# AI Studio 已装好飞桨，请保留它。把本项目的文件夹上传到 `~/work`。每次启动环境之后，先在本单元格上方新建一格运行
#
# ```
# %cd ~/work
# %cd paddle_resnet
# !pip install -e '.[studies]'
# %env PADDLE_RESNET_CACHE=.cache
# ```
#
# `~/work` 里的文件会保留；`~/data` 和安装的包在每次启动时还原。挂载到 `~/data` 的 CIFAR-10 会被自动找到。
# 本课有两个 CPU 核就够了。
# </details>

# %% lang="en"
import paddle_resnet  # before Paddle, so that Paddle uses all cores

LANG = "en"  # language in which studies report

# %% lang="zh"
import paddle_resnet  # 先于 paddle 导入，这样 paddle 才会用上所有 CPU 核

LANG = "zh"  # 研究（study）报告结果所用的语言
