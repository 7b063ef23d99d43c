"""From the names of other frameworks and repositories to ours, which are torchvision's and timm's
in Paddle's spelling of the BN statistics.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Callable, Optional, Union

#: Prefixes of wrappers: data-parallel, torch.compile, a detector around a backbone.
PREFIXES = (
    *("module.", "_orig_mod.", "_layers.", "ema_model.", "backbone.", "model.", "net.", "network."),
    *("encoder.", "resnet."),
)
#: Names of the last linear layer elsewhere; here it is ``fc``.
HEADS = ("fc", "linear", "classifier", "head", "last_linear", "out", "output", "fc1000", "logits")
#: Attributes of training modules, such as Lightning's, for a loss with weights of its own.
LOSSES = ("criterion", "criteria", "loss", "losses", "loss_fn", "loss_func", "loss_function")
_HEAD = re.compile(rf"^(?:{'|'.join(HEADS)})(?:\.fc|\.\d+)?\.(weight|bias)$")

#: Entries of torch that hold no weights, and why we do without.
_COUNTERS = {
    "num_batches_tracked": "torch's batch counters, which Paddle has not",
    "n_averaged": "the count of a weight average",
}


def _caffe(match: re.Match[str]) -> str:
    """Turn ``res2b_branch2a.`` into ``layer1.1.conv1.``, a branch 1 into a projection."""
    kind, stage, letter, number, branch, conv = match.groups()
    block = int(number) if number else ord(letter) - ord("a")
    place = f"layer{int(stage) - 1}.{block}."
    if branch == "1":
        return f"{place}downsample.{0 if kind == 'res' else 1}."
    return f"{place}{'conv' if kind == 'res' else 'bn'}{ord(conv) - ord('a') + 1}."


def _stem(match: re.Match[str]) -> str:
    """Turn ``stem.1.bn.`` into the name that only a stem of three convolutions has."""
    return f"conv1.{3 * int(match[1]) + (match[2] not in ('conv', '_conv'))}."


def _residual(match: re.Match[str]) -> str:
    """Turn the places in a Sequential of conv, BN, ReLU, conv, ... into ``conv2``, ``bn2``."""
    place = int(match[1])
    return f".{'bn' if place % 3 else 'conv'}{place // 3 + 1}."


def _next(match: re.Match[str]) -> str:
    """Count from 1 instead of from 0."""
    return f".{'conv' if match[2].startswith(('conv', '_conv')) else 'bn'}{int(match[1]) + 1}."


#: Applied in this order, each if it matches.
_RULES: tuple[tuple[re.Pattern[str], Union[str, Callable[[re.Match[str]], str]]], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # torch's BN statistics.
        (r"\.running_mean$", "._mean"),
        (r"\.running_var$", "._variance"),
        # CIFAR repositories (kuangliu's, akamaster's): projections.
        (r"\.shortcut\.([012])\.", r".downsample.\1."),
        # Paddle's ResNet-50 lesson and PaddleClas's first dynamic networks.
        (r"^conv\._conv\.", "conv1."),
        (r"^conv\._batch_norm\.", "bn1."),
        (r"^bb_(\d)_(\d+)\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}."),
        (r"\.short\.(?:_?conv)\.", ".downsample.conv."),
        (r"\.short\.(?:_batch_norm|bn)\.", ".downsample.bn."),
        (r"\.conv([012])\.(_conv|_batch_norm|conv|bn)\.", _next),
        (r"\.scale\.squeeze\.", ".se.fc1."),
        (r"\.scale\.excitation\.", ".se.fc2."),
        (r"^conv1_([123])\.", lambda m: f"stem.{int(m[1]) - 1}."),
        # PaddleClas's later ones; `blocks.N` counts through all stages, see `to_own_name`.
        (r"^stem\.([012])\.(conv|bn|_conv|_batch_norm)\.", _stem),
        (r"^conv1\.0\.", "conv1."),
        (r"^conv1\.1\.", "bn1."),
        # Detectron2.
        (r"^stem\.conv1\.norm\.", "bn1."),
        (r"^stem\.conv1\.", "conv1."),
        (r"^res([2-5])\.(\d+)\.", lambda m: f"layer{int(m[1]) - 1}.{m[2]}."),
        (r"\.conv(\d)\.norm\.", r".bn\1."),
        (r"\.shortcut\.norm\.", ".downsample.bn."),
        (r"\.shortcut\.(weight|bias)$", r".downsample.conv.\1"),
        # Hugging Face.
        (r"^embedder\.embedder\.convolution\.", "conv1."),
        (r"^embedder\.embedder\.normalization\.", "bn1."),
        (r"^stages\.([0-3])\.layers\.(\d+)\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}."),
        (r"\.layer\.(\d)\.(convolution|normalization)\.", _next),
        (r"\.shortcut\.convolution\.", ".downsample.conv."),
        (r"\.shortcut\.normalization\.", ".downsample.bn."),
        # weiaicunzai's pytorch-cifar100; its stem is above, with PaddleClas's.
        (r"^conv([2-5])_x\.(\d+)\.", lambda m: f"layer{int(m[1]) - 1}.{m[2]}."),
        (r"\.residual_function\.([0-8])\.", _residual),
        # A Sequential of a network's children, as fastai's bodies are.
        (r"^0\.weight$", "conv1.weight"),
        (r"^1\.(weight|bias|_mean|_variance)$", r"bn1.\1"),
        (r"^([4-7])\.(\d+)\.", lambda m: f"layer{int(m[1]) - 3}.{m[2]}."),
        # The original networks, in Caffe.
        (r"^bn_conv1\.", "bn1."),
        (r"^(res|bn)([2-5])([a-z])(\d*)_branch(1|2)([abc]?)\.", _caffe),
        # timm's deep stem, whose last BN stands outside of it.
        (r"^bn1\.", "conv1.7."),
    )
)


def to_own_name(name: str, own: Collection[str], blocks: Sequence[str] = ()) -> str:
    """Return the network's name of a file's entry.

    Args:
        name: such as ``module.layer2.0.shortcut.0.weight``.
        own: the network's names; a name that is among them is left as it is.
        blocks: see `block_names`.

    Returns:
        One of ``own``, or the nearest to one that the rules lead.
    """
    if name in own:
        return name
    stripped = True
    while stripped:
        stripped = next((p for p in PREFIXES if name.startswith(p)), "")
        name = name[len(stripped) :]
        if name in own:
            return name
    head = _HEAD.match(name)
    if head and (own_head := head_of(own)):
        return f"{own_head}.{head[1]}"
    flat = re.match(r"blocks\.(\d+)\.", name)
    if flat and int(flat[1]) < len(blocks):
        name = f"{blocks[int(flat[1])]}.{name[flat.end() :]}"
    for pattern, replacement in _RULES:
        name = pattern.sub(replacement, name)
        if name in own:
            return name
    return _PROJECTION.sub(lambda match: _projection(match, own), name)


#: A convolution and its BN on a shortcut, in repositories that name the two and not their places.
_PROJECTION = re.compile(r"(.*\.downsample)\.(conv|bn)\.")


def _projection(match: re.Match[str], own: Collection[str]) -> str:
    behind_pooling = f"{match[1]}.2.weight" in own  # shortcut D
    return f"{match[1]}.{behind_pooling + (match[2] == 'bn')}."


def head_of(own: Collection[str]) -> Optional[str]:
    """Return the name of a network's last layer; None if it has none."""
    return next((head for head in HEADS if f"{head}.weight" in own), None)


def is_head(name: str) -> bool:
    """Return whether a (translated) name belongs to the head, or to an auxiliary one."""
    first = name.partition(".")[0]
    return first in HEADS or first.startswith("aux")


def is_ignorable(name: str) -> Optional[str]:
    """Return why a network can do without an entry that it has no place for, else None."""
    first = name.partition(".")[0]
    if first in ("aux", "aux1", "aux2"):
        return "an auxiliary head, which the network was built without"
    if first in LOSSES:
        return "of the loss, which is no part of the network"
    return _COUNTERS.get(name.rpartition(".")[2])


def block_names(own: Collection[str]) -> list[str]:
    """Return ``layer1.0``, ``layer1.1``, ... in the order of the network."""
    found = (re.match(r"layer\d+\.\d+(?=\.)", name) for name in own)
    return list(dict.fromkeys(match[0] for match in found if match))


def origin_of(names: Collection[str]) -> Optional[str]:
    """Return whose conventions names follow, ``torch`` or ``paddle``; None if no name decides."""
    if any(n.endswith((".running_mean", ".running_var", *_COUNTERS)) for n in names):
        return "torch"
    return "paddle" if any(n.endswith(("._mean", "._variance")) for n in names) else None
