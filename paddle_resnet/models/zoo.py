"""The table of networks. Exact counts of each: ``model_info(name)``."""

from __future__ import annotations

from functools import partial
from typing import Callable

from paddle import nn

from .googlenet import GoogLeNet
from .network import Network
from .nin import NetworkInNetwork
from .registry import add, list_models
from .resnet import ResNet
from .speedrun_resnet import SpeedrunResNet

# He et al. 2015, table 1, with the stride in the 3x3 convolution ("v1.5").
HE = "He et al. 2015, arXiv:1512.03385, table 1"
resnet18 = add("resnet18", ResNet, HE, layers=18)
resnet34 = add("resnet34", ResNet, HE, layers=34)
resnet50 = add("resnet50", ResNet, HE, layers=50)
resnet101 = add("resnet101", ResNet, HE, layers=101)
resnet152 = add("resnet152", ResNet, HE, layers=152)
plain18 = add("plain18", ResNet, HE, layers=18, residual=False)
plain34 = add("plain34", ResNet, HE, layers=34, residual=False)


def _cifar(depth: int, **options: object) -> Callable[..., Network]:
    """The CIFAR nets of the same paper: 6n + 2 layers, n basic blocks at each of three widths."""
    name = f"{'resnet' if options.get('residual', True) else 'plain'}{depth}"
    source = "He et al. 2015, arXiv:1512.03385, section 4.2"
    shape = {"layers": (depth // 6,) * 3, "block": "basic", "widths": (16, 32, 64)}
    shape.update(stem="cifar", shortcut="A", num_classes=10)
    return add(name, ResNet, source, 32, **shape, **options)


resnet20, resnet32, resnet44 = _cifar(20), _cifar(32), _cifar(44)
resnet56, resnet110, resnet1202 = _cifar(56), _cifar(110), _cifar(1202)
plain20, plain32 = _cifar(20, residual=False), _cifar(32, residual=False)
plain44, plain56 = _cifar(44, residual=False), _cifar(56, residual=False)
plain110 = _cifar(110, residual=False)


def _resnext(depth: int, groups: int, width: int) -> Callable[..., Network]:
    name, source = f"resnext{depth}_{groups}x{width}d", "Xie et al. 2016, arXiv:1611.05431, table 1"
    return add(name, ResNet, source, layers=depth, groups=groups, width_per_group=width)


resnext50_32x4d, resnext50_64x4d = _resnext(50, 32, 4), _resnext(50, 64, 4)
resnext101_32x4d, resnext101_64x4d = _resnext(101, 32, 4), _resnext(101, 64, 4)
resnext101_32x8d = _resnext(101, 32, 8)
resnext152_32x4d, resnext152_64x4d = _resnext(152, 32, 4), _resnext(152, 64, 4)

WIDE = "Zagoruyko and Komodakis 2016, arXiv:1605.07146, the bottlenecks of section 4"
wide_resnet50_2 = add("wide_resnet50_2", ResNet, WIDE, layers=50, width_per_group=128)
wide_resnet101_2 = add("wide_resnet101_2", ResNet, WIDE, layers=101, width_per_group=128)

SE = "Hu et al. 2017, arXiv:1709.01507, table 1"
seresnet50 = add("seresnet50", ResNet, SE, layers=50, se_reduction=16)

TRICKS = "He et al. 2018, arXiv:1812.01187, section 4"
resnet50_d = add("resnet50_d", ResNet, TRICKS, layers=50, stem="deep", shortcut="D")

PRE = "He et al. 2016, arXiv:1603.05027, figure 4e"
preact_resnet18 = add("preact_resnet18", ResNet, PRE, layers=18, block="preact_basic")
preact_resnet50 = add("preact_resnet50", ResNet, PRE, layers=50, block="preact_bottleneck")

# Two networks of lessons, as they are, so that they can be shown beside the others.
resnet18_keras = add(
    "resnet18_keras",
    ResNet,
    "the small-image ResNet of Keras lessons: biased convolutions, 'same' padding",
    32,
    layers=18,
    num_classes=10,
    stem="keras",
    shortcut="keras",
    conv_bias=True,
    padding="same",
    norm_layer=partial(nn.BatchNorm2D, momentum=0.99, epsilon=1e-3),
)
resnet18_residual_block = add(
    "resnet18_residual_block",
    ResNet,
    "the residual block of lessons: a biased projection, and ReLU before the sum",
    32,
    layers=18,
    num_classes=10,
    stem="cifar",
    shortcut="biased",
    early_relu=True,
)

googlenet = add("googlenet", GoogLeNet, "Szegedy et al. 2014, arXiv:1409.4842, table 1, with BN")
nin = add("nin", NetworkInNetwork, "Lin et al. 2013, arXiv:1312.4400, figure 2, with BN", 32)
speedrun_resnet = add(
    "speedrun_resnet",
    SpeedrunResNet,
    "ours, after Jordan 2024, arXiv:2404.00498: CIFAR-10 in minutes",
    32,
)

__all__ = list_models()
