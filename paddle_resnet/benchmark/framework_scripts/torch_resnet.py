"""PyTorch at its best on a CPU: channels last, in bfloat16 or float32, compiled if asked."""

import contextlib

import torch
from timing_loop import arguments, serve
from torch import nn
from torch.nn import functional as F


class CifarBlock(nn.Module):
    """A basic block with shortcut A (He et al. 2015, arXiv:1512.03385, section 4.2)."""

    def __init__(self, ins, outs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outs)
        self.extra, self.stride = outs - ins, stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            before = self.extra // 2
            x = F.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, before, self.extra - before),
            )
        return F.relu(y + x)


def cifar_resnet(depth):
    """Return the paper's network of 6n + 2 layers for 32-pixel images."""
    layers, ins = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for stage, width in enumerate((16, 32, 64)):
        for i in range((depth - 2) // 6):
            layers.append(CifarBlock(ins, width, 2 if stage and not i else 1))
            ins = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


asked = arguments()
torch.manual_seed(0)
name = asked["model"]
if name in ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110"):
    network = cifar_resnet(int(name[6:]))
else:
    import torchvision

    network = getattr(torchvision.models, name)(num_classes=10)
    if asked["stem"] == "cifar":
        network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        network.maxpool = nn.Identity()
network = network.to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
side = asked["image_size"]
images = torch.randn(asked["batch_size"], 3, side, side).to(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (asked["batch_size"],))
forward = torch.compile(network) if asked["compile"] else network


def autocast():
    if asked["precision"] == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def train():
    network.train()
    with autocast():
        loss = F.cross_entropy(forward(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    float(loss)


def infer():
    network.eval()
    with torch.no_grad(), autocast():
        forward(images).float().numpy()


serve(train=train, infer=infer)
