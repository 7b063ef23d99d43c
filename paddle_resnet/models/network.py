"""The contract of every network here: what trainers, transfer learning and detectors rely on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

from paddle import Tensor, nn

from ..errors import ModelError, did_you_mean, for_display
from ..layers.activation_dtype import is_float32, run_stage, to_float32
from ..layers.pooling import Flatten
from ..layers.recompute import run

#: Parameters in Paddle's sense which no gradient ever moves.
STATISTICS = ("_mean", "_variance")


class FeatureInfo(NamedTuple):
    """One of the activations that :meth:`Network.features` can return."""

    name: str
    channels: int
    #: How many pixels of the image one position of the activation stands for, in each direction.
    stride: int


class Network(nn.Layer):
    """A backbone of stages in a row, global average pooling, and one linear layer ``fc``.

    A subclass calls :meth:`add_stage` for each stage and :meth:`add_head` last.

    Args:
        num_classes (int): outputs of the linear layer; 0 leaves it out and gives the pooled
            features.
        data_format (str): ``NCHW`` or ``NHWC``, of images and activations. Default: ``NCHW``.
        recompute (bool | int): keep only every block's input for the backward pass (or every n-th
            block's) and compute the rest again; see :mod:`paddle_resnet.layers.recompute`.
            Default: False.

    Attributes:
        num_features (int): channels of the last activation, inputs of the linear layer.
        feature_info (list of FeatureInfo): the activations that :meth:`features` can return.
    """

    def __init__(
        self, num_classes: int, data_format: str = "NCHW", recompute: Union[bool, int] = False
    ) -> None:
        super().__init__()
        if not isinstance(recompute, int) or recompute < 0:
            raise ModelError(
                f"recompute must be true, false or a number, got {for_display(repr(recompute))}."
            )
        self.num_classes = _checked_classes(num_classes)
        self.data_format = data_format
        self.recompute = recompute
        self.feature_info: list[FeatureInfo] = []
        self._stages: list[str] = []
        self._weighted: set[str] = set()

    def add_stage(self, name: str, layer: nn.Layer, channels: int = 0, stride: int = 0) -> None:
        """Append a stage to the backbone; with a stride its output is one of the features."""
        self.add_sublayer(name, layer)
        self._stages.append(name)
        if layer.parameters():
            self._weighted.add(name)
        if stride:
            self.feature_info.append(FeatureInfo(name, channels, stride))

    def add_head(self, num_features: int, dropout: float = 0.0) -> None:
        """Append pooling, dropout and the linear layer."""
        if not 0 <= dropout < 1:
            raise ModelError(f"dropout must be at least 0 and less than 1, got {dropout}.")
        self.num_features = num_features
        self.avgpool = nn.AdaptiveAvgPool2D(1, data_format=self.data_format)
        self.flatten = Flatten()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.reset_classifier(self.num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new linear layer in place, with fresh weights; 0 for none."""
        self.num_classes = _checked_classes(num_classes)
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    # Running

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        """Run one stage, block by block, so that recompute can cut between them."""
        if is_float32():
            return self._run_stage(name, x)
        return run_stage(getattr(self, name), x, lambda x: self._run_stage(name, x))

    def _run_stage(self, name: str, x: Tensor) -> Tensor:
        stage = getattr(self, name)
        if not self.recompute or name not in self._weighted:
            return stage(x)
        steps = _blocks(stage)
        for i in range(0, len(steps), self.recompute):
            x = run(steps[i : i + self.recompute], x, checkpoint=self.training)
        return x

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last activation, ``[N, num_features, H', W']``."""
        for name in self._stages:
            x = self.run_stage(name, x)
        return to_float32(x)

    def forward_head(self, x: Tensor) -> Tensor:
        """Pool an activation of :meth:`forward_features` and classify it: ``[N, num_classes]``."""
        return self.fc(self.dropout(self.flatten(self.avgpool(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        return self.forward_head(self.forward_features(x))

    def features(
        self, x: Tensor, stages: Optional[Sequence[Union[int, str]]] = None
    ) -> list[Tensor]:
        """Return activations from inside the network, for detection, segmentation or curiosity.

        Args:
            x: a batch of images.
            stages (sequence, optional): names of :attr:`feature_info`, or their places counted
                from 1. Default: all.

        Returns:
            A list of activations in the order of ``stages``; channels and strides are in
            :attr:`feature_info`. Nothing behind the last wanted stage is computed.

        Raises:
            ModelError: a stage that the network does not have.
        """
        names = [info.name for info in self.feature_info]
        wanted = []
        for stage in names if stages is None else stages:
            if isinstance(stage, int) and 1 <= stage <= len(names):
                stage = names[stage - 1]
            if stage not in names:
                raise ModelError(
                    f"no stage {for_display(repr(stage))}, expected one of {', '.join(names)} or 1 "
                    f"to {len(names)}." + did_you_mean(str(stage), names)
                )
            wanted.append(stage)
        found: dict[str, Tensor] = {}
        for name in self._stages:
            if all(stage in found for stage in wanted):
                break
            x = self.run_stage(name, x)
            found[name] = x
        return [to_float32(found[stage]) for stage in wanted]

    # Training

    def training_loss(self, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return the loss to train with: ``loss`` itself, unless the network has heads of its own.

        ``model.prepare(optimizer, network.training_loss(nn.CrossEntropyLoss()))`` is right for
        every network.
        """
        return loss

    def freeze_backbone(self) -> None:
        """Hold everything but the heads still, running statistics included.

        BN layers use their running statistics from now on and leave them as they are, also after
        ``train()``, and wherever the network sits (``paddle.DataParallel`` calls no ``train`` of
        its parts).

        Raises:
            ModelError: there is a SyncBatchNorm, which Paddle lets use batch statistics only.
        """
        self._set_backbone(trainable=False)

    def unfreeze_backbone(self) -> None:
        """Undo :meth:`freeze_backbone`. Running statistics stay what they are: not trainable."""
        self._set_backbone(trainable=True)

    def never_trained(self) -> list[Tensor]:
        """Return the parameters that stay as they were made, whatever is frozen or thawed."""
        return []

    @property
    def stages(self) -> list[str]:
        """Names of the backbone's parts in their order, such as ``conv1``, ``layer1``."""
        return list(self._stages)

    def set_trainable(self, name: str, trainable: bool) -> None:
        """Freeze one part of the backbone as :meth:`freeze_backbone` does, or unfreeze it.

        Raises:
            ModelError: the backbone has no such stage, or a SyncBatchNorm is in it.
        """
        if name not in self._stages:
            raise ModelError(
                f"no stage '{name}', expected one of {', '.join(self._stages)}."
                + did_you_mean(name, self._stages)
            )
        layers = getattr(self, name).sublayers(include_self=True)
        if not trainable and any(isinstance(layer, nn.SyncBatchNorm) for layer in layers):
            raise ModelError(
                f"'{name}' has a SyncBatchNorm, whose statistics would move when frozen."
            )
        still = {id(parameter) for parameter in self.never_trained()}
        for layer in layers:
            if hasattr(layer, "_use_global_stats"):
                layer._use_global_stats = None if trainable else True
            for key, parameter in layer._parameters.items():
                if parameter is not None and key not in STATISTICS and id(parameter) not in still:
                    parameter.trainable = trainable

    def _set_backbone(self, trainable: bool) -> None:
        for name in self._stages:
            self.set_trainable(name, trainable)

    def param_groups(
        self,
        weight_decay: Optional[float] = None,
        layer_decay: float = 1.0,
        decay_norms_and_biases: bool = True,
    ) -> list[dict[str, Any]]:
        """Return the trainable parameters in groups that any Paddle optimizer takes.

        ``paddle.Model.fit`` refuses optimizers with groups, whoever made them (both Paddle 2.6 and
        3.3); ``ImageClassifier.fit`` and loops of one's own take them. Paddle clips the norm of
        each group by itself.

        Args:
            weight_decay (float, optional): of the groups. Default: None, the optimizer's own.
            layer_decay (float): the head learns at the full rate, the last block at ``layer_decay``
                times the rate, the block before at its square, ... (Clark et al. 2020,
                arXiv:2003.10555, section 3.1). Default: 1, the same rate everywhere.
            decay_norms_and_biases (bool): False leaves parameters of one dimension without weight
                decay (He et al. 2018, arXiv:1812.01187, section 3.1). Default: True.

        Returns:
            A list of dicts: ``params``, ``learning_rate`` (a factor of the optimizer's rate), and
            ``weight_decay`` where it is not the optimizer's own. The head comes first.
        """
        inside = [block for name in self._stages for block in _blocks(getattr(self, name))]
        depths = [block.parameters() for block in inside]
        known = {id(p) for parameters in depths for p in parameters}
        head = [p for p in self.parameters() if id(p) not in known]
        groups: dict[tuple[float, bool], list] = {}
        factor = 1.0
        for parameters in [head, *reversed([d for d in depths if d])]:
            for p in parameters:
                if not p.stop_gradient:
                    decayed = decay_norms_and_biases or p.ndim > 1
                    groups.setdefault((factor, decayed), []).append(p)
            factor *= layer_decay
        result = []
        for (factor, decayed), parameters in groups.items():
            group: dict[str, Any] = {"params": parameters, "learning_rate": factor}
            if weight_decay is not None or not decayed:
                group["weight_decay"] = weight_decay if decayed else 0.0
            result.append(group)
        return result


def _blocks(part: nn.Layer) -> list[nn.Layer]:
    """Return the blocks of a stage, or the part itself where it is none."""
    return list(part) if type(part) is nn.Sequential else [part]


def _checked_classes(num_classes: int) -> int:
    if type(num_classes) is not int or num_classes < 0:
        raise ModelError(
            f"num_classes must be a whole number from 0 up, got {for_display(repr(num_classes))}."
        )
    return num_classes
