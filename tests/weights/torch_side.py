"""The torch half of the agreement tests. Runs in a Python that has torch, and imports nothing else
of this project, so that the two frameworks never share a process.

    python torch_side.py export FOLDER NAME...   seeded networks: NAME.pth, NAME.npz (x, logits)
    python torch_side.py check FOLDER NAME...    loads NAME.safetensors, adds NAME.back.npz
    python torch_side.py train FOLDER            trains on FOLDER/cifar.npz: trained.pth, torch.npz
    python torch_side.py fixtures FOLDER         the small files that are kept beside this script

Names are torchvision's, timm's with the prefix ``timm:``, or ``cifar:STYLE`` for `CifarResNet`.
"""

import sys
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


class Pad(nn.Module):
    """Shortcut A as in akamaster's repository."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra // 2, self.extra // 2))


class Block(nn.Module):
    def __init__(self, ins, outs, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outs)
        self.shortcut = nn.Sequential()
        if stride > 1 or ins != outs:
            conv = nn.Conv2d(ins, outs, 1, stride, bias=False)
            projection = nn.Sequential(conv, nn.BatchNorm2d(outs))
            self.shortcut = Pad(outs - ins) if option == "A" else projection

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """The key names of the two most copied CIFAR repositories: ``shortcut.0``, ``linear``."""

    def __init__(self, depths=(3, 3, 3), widths=(16, 32, 64), option="A", classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        ins = widths[0]
        for i, (depth, outs) in enumerate(zip(depths, widths), start=1):
            blocks = []
            for j in range(depth):
                blocks.append(Block(ins, outs, 2 if i > 1 and j == 0 else 1, option))
                ins = outs
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.linear = nn.Linear(ins, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.linear(x.mean((2, 3)))


def make(name):
    family, _, rest = name.rpartition(":")
    if family == "cifar":
        return CifarResNet(option=rest), 32
    if family == "timm":
        import timm

        return timm.create_model(rest), 64
    from torchvision import models

    options = {"init_weights": False} if rest == "googlenet" else {}
    return getattr(models, rest)(weights=None, **options), 64


def lively(network, size):
    """Give BN layers weights and statistics that are not those of a new network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            module.momentum = 0.5
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(2, 3, size, size))
    return network.eval()


def file_name(name):
    return name.replace(":", "_")


def export(folder, names):
    for name in names:
        torch.manual_seed(len(name))
        network, size = make(name)
        lively(network, size)
        x = torch.randn(2, 3, size, size)
        with torch.no_grad():
            logits = network(x)
        torch.save(network.state_dict(), folder / f"{file_name(name)}.pth")
        np.savez(folder / f"{file_name(name)}.npz", x=x.numpy(), logits=logits.numpy())


def check(folder, names):
    for name in names:
        network, _ = make(name)
        state = load_file(folder / f"{file_name(name)}.safetensors")
        if isinstance(network, CifarResNet):  # torchvision's names, which these repositories lack
            theirs = {"fc": "linear", "downsample": "shortcut"}
            state = {".".join(theirs.get(p, p) for p in k.split(".")): v for k, v in state.items()}
        network.load_state_dict(state)
        x = torch.from_numpy(np.load(folder / f"{file_name(name)}.npz")["x"])
        with torch.no_grad():
            logits = network.eval()(x)
        np.savez(folder / f"{file_name(name)}.back.npz", logits=logits.numpy())


def train(folder):
    """A few steps on CIFAR-10: enough for an accuracy that depends on the weights."""
    torch.manual_seed(0)
    data = {key: torch.from_numpy(array) for key, array in np.load(folder / "cifar.npz").items()}
    network = nn.DataParallel(CifarResNet((1, 1, 1), option="B"))  # for the prefix `module.`
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4)
    for step in range(120):
        pick = torch.randint(len(data["train_y"]), (128,))
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - step / 120)
        loss = F.cross_entropy(network(data["train_x"][pick]), data["train_y"][pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(part) for part in data["test_x"].split(500)])
    accuracy = (logits.argmax(1) == data["test_y"]).float().mean().item()
    # The layout of kuangliu's checkpoints.
    state = {"net": network.state_dict(), "acc": 100 * accuracy, "epoch": 1}
    torch.save(state, folder / "trained.pth")
    np.savez(folder / "torch.npz", logits=logits.numpy(), accuracy=accuracy)


def fixtures(folder):
    torch.manual_seed(0)
    network = CifarResNet((1, 1), (4, 8), "B")
    lively(network, 16)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        logits = network(x)
    np.savez(folder / "expected.npz", x=x.numpy(), logits=logits.numpy())
    state = network.state_dict()

    checkpoint = {"net": {f"module.{k}": v for k, v in state.items()}, "acc": 93.1, "epoch": 7}
    torch.save(checkpoint, folder / "zip_kuangliu.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    half = {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()}
    torch.save({"state_dict": half}, folder / "zip_bfloat16.pth")
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save({"model": half}, folder / "legacy_half.pth", _use_new_zipfile_serialization=False)

    # Views with strides and offsets into one shared storage, parameters, and company.
    views, whole = OrderedDict(), torch.cat([v.float().flatten() for v in state.values()])
    start = 0
    for key, value in state.items():
        views[f"_orig_mod.{key}"] = whole[start : start + value.numel()].view(value.shape)
        start += value.numel()
        if "num_batches" in key:
            views[f"_orig_mod.{key}"] = value
    first = views["_orig_mod.conv1.weight"]
    views["_orig_mod.conv1.weight"] = first.to(memory_format=torch.channels_last)
    turned = views["_orig_mod.linear.weight"]
    views["_orig_mod.linear.weight"] = nn.Parameter(turned.t().contiguous().t())
    optimizer = torch.optim.Adam(network.parameters())
    F.cross_entropy(network(x), torch.tensor([1, 2])).backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "best_acc1": torch.tensor(0.5),
        "args": Namespace(lr=0.1, milestones={80, 120}, arch="resnet"),
        "loss": np.float64(0.25),
        "model_state_dict": views,
        "model_ema": {f"ema_model.{k}": torch.zeros_like(v) for k, v in state.items()},
        "optimizer": optimizer.state_dict(),
        "size": x.shape,
        "dtype": torch.float32,
        "device": torch.device("cpu"),
    }
    torch.save(checkpoint, folder / "zip_views.pth")
    torch.save(network, folder / "whole_module.pth")


if __name__ == "__main__":
    task, folder, *names = sys.argv[1:]
    torch.set_num_threads(2)
    arguments = (Path(folder), names) if names else (Path(folder),)
    {"export": export, "check": check, "train": train, "fixtures": fixtures}[task](*arguments)
