"""GoogLeNet, the Inception network, as torchvision shapes it: with BN."""

from __future__ import annotations

from functools import partial
from typing import Callable, Union

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ..layers.activation_dtype import to_float32
from ..layers.activation_functions import Activation
from ..layers.conv_bn import NormLayer
from ..layers.inception import Inception
from ..layers.pooling import MaxPool2D
from ..layers.style import Style
from .network import Network

#: Channels of each module: in, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
#: (Szegedy et al. 2014, arXiv:1409.4842, table 1).
MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class AuxiliaryHead(nn.Layer):
    """A classifier on an inner activation, there in training only (section 5 of the same paper)."""

    def __init__(self, num_channels: int, num_classes: int, style: Style) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(4, data_format=style.data_format)
        self.conv = style.conv(num_channels, 128, 1, act=style.act)
        self.fc1 = nn.Linear(2048, 1024)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, num_classes)
        self._to_nchw = style.data_format == "NHWC"

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, ``[N, num_classes]``."""
        x = self.conv(self.pool(x))
        if self._to_nchw:  # fc1's weights are ordered by channel first
            x = paddle.transpose(x, [0, 3, 1, 2])
        return self.fc2(self.dropout(F.relu(self.fc1(paddle.reshape(x, [0, -1])))))


class GoogLeNet(Network):
    """Nine Inception modules with max-pools between them (arXiv:1409.4842, table 1).

    State-dict names are torchvision's, whose published weights expect pixels from -1 to 1.

    ``forward`` returns the main logits alone, in training too, so that losses and metrics of
    ``paddle.Model`` fit. With ``aux_heads`` the logits of the two auxiliary heads wait in
    ``auxiliary_logits`` after a training pass, and ``network.training_loss(loss)`` adds their
    losses, each with weight 0.3; with any other loss the auxiliary heads learn nothing.

    Args:
        num_classes (int): Default: 1000.
        in_channels (int): channels of the images. Default: 3.
        aux_heads (bool): build the auxiliary heads. Default: False.
        large_kernel (int): of the modules' third branch. Default: 3, as in torchvision's published
            weights, where it is a known mistake; the paper's is 5.
        act, norm_layer: as in :class:`ResNet`; BN with epsilon 1e-3 by default.
        dropout (float): in front of the linear layer. Default: 0.2.
        recompute, data_format: see :class:`Network`.

    Shape:
        ``[N, in_channels, H, W]`` float32 to ``[N, num_classes]`` logits.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        aux_heads: bool = False,
        large_kernel: int = 3,
        act: Activation = "relu",
        norm_layer: NormLayer = partial(nn.BatchNorm2D, epsilon=1e-3),  # noqa: B008
        dropout: float = 0.2,
        recompute: Union[bool, int] = False,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(num_classes, data_format, recompute)
        style = Style(act, norm_layer, data_format)

        def conv(place: int, ins: int, outs: int, size: int, shown: int = 0) -> None:
            names = (f"conv{place}.conv", f"conv{place}.bn")
            unit = style.conv(ins, outs, size, stride=2 if place == 1 else 1, act=act, names=names)
            self.add_stage(f"conv{place}", unit, outs, shown)

        def pool(place: int, size: int = 3) -> None:
            layer = MaxPool2D(size, 2, ceil_mode=True, data_format=data_format)
            self.add_stage(f"maxpool{place}", layer)

        self._auxiliary = {"inception4a": "aux1", "inception4d": "aux2"} if aux_heads else {}
        self.auxiliary_logits: list[Tensor] = []
        conv(1, in_channels, 64, 7, shown=2)
        pool(1)
        conv(2, 64, 64, 1)
        conv(3, 64, 192, 3, shown=4)
        for place, channels in MODULES.items():
            if place in ("3a", "4a", "5a"):
                pool(int(place[0]) - 1, 2 if place == "5a" else 3)
            module = Inception(*channels, large_kernel=large_kernel, style=style)
            stride = {"3b": 8, "4e": 16, "5b": 32}.get(place, 0)
            self.add_stage(f"inception{place}", module, module.out_channels, stride)
        for name, channels in zip(self._auxiliary.values(), (512, 528)):
            self.add_sublayer(name, AuxiliaryHead(channels, max(num_classes, 1), style))
        self.add_head(1024, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the main logits of a batch of images; in training, run the auxiliary heads too.

        :meth:`features` and :meth:`forward_features` leave ``auxiliary_logits`` as they are.
        """
        heads = []
        for name in self._stages:
            x = self.run_stage(name, x)
            if self.training and name in self._auxiliary:
                heads.append(getattr(self, self._auxiliary[name])(to_float32(x)))
        self.auxiliary_logits = heads
        return self.forward_head(to_float32(x))

    def training_loss(
        self, loss: Callable[..., Tensor], weight: float = 0.3
    ) -> Callable[..., Tensor]:
        """Return ``loss(main) + weight * (loss(aux1) + loss(aux2))``; in eval mode ``loss(main)``.

        Section 5 of the paper gives the weight.
        """

        def with_auxiliary_heads(logits: Tensor, *labels: Tensor) -> Tensor:
            heads, self.auxiliary_logits = self.auxiliary_logits, []
            total = loss(logits, *labels)
            for head in heads:
                total = total + weight * loss(head, *labels)
            return total

        return with_auxiliary_heads

    def reset_classifier(self, num_classes: int) -> None:
        """Put new linear layers in place, those of the auxiliary heads included."""
        super().reset_classifier(num_classes)
        for name in self._auxiliary.values():
            if num_classes:
                getattr(self, name).fc2 = nn.Linear(1024, num_classes)
