"""The schema of a recipe: every key, its default and its meaning.

What these dataclasses do not name is an error, and every value is checked against its type and
range before anything starts.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, Optional

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from .values import (
    Amount,
    Channels,
    Interval,
    Number,
    Seconds,
    Text,
    Whole,
    above_0,
    alpha,
    low_and_high,
    one_folder,
    share_or_whole,
)

_STRICT = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)


@dataclass(config=_STRICT)
class ModelConfig:
    """The network."""

    #: A name of ``list_models()``.
    name: Text = "resnet50"
    #: Options of the network, such as ``stem: cifar``; num_classes comes from the data.
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: Weights to start from: a run folder, a weights file of any framework, or ``published`` for
    #: the ImageNet weights that Paddle publishes. A run or file of ours brings its network,
    #: options, image size and normalisation along; other classes get a new head.
    pretrained: Optional[Text] = None
    #: Of a checkpoint that holds several networks: which entry to take, such as ``teacher``; and
    #: what the names of the network's arrays begin with, such as ``encoder_q.``.
    pretrained_entry: Optional[Text] = None
    pretrained_prefix: Optional[Text] = None
    #: Whether every array must find its place, but for the head; false takes what fits.
    pretrained_strict: bool = True


@dataclass(config=_STRICT)
class DataConfig:
    """The images."""

    #: folder: images in a folder per class, or in lists; ``root`` says where.
    name: Literal["cifar10", "cifar100", "folder"] = "cifar10"
    #: An archive, folder or list to read; None looks in the caches and then downloads CIFAR.
    root: Optional[Text] = None
    #: Whether anything may be fetched.
    download: bool = True
    #: Whether the 2,500 images inside the package may stand in for data that cannot be had.
    allow_sample: bool = True
    #: Training images held out, each class by its share, for validation: a number, or below 1 a
    #: share. None: 5,000 of CIFAR, a tenth of a folder that has no part for it.
    validation: Annotated[Optional[Amount], Field(ge=0), AfterValidator(share_or_whole)] = None
    #: Images of a folder held out for the test, where it has no part for it; as ``validation``.
    test: Annotated[Amount, Field(gt=0), AfterValidator(share_or_whole)] = 0.1
    #: Use the first this many training images of a fixed shuffle; None uses all.
    max_train_images: Annotated[Optional[Whole], Field(ge=1)] = None
    #: Subtract the training set's mean and divide by its standard deviation, per channel.
    normalize: bool = True
    #: Augmentation: zero-pad by this many pixels on each side and cut the old size out at random.
    crop_padding: Annotated[Whole, Field(ge=0, le=32)] = 4
    #: Augmentation: mirror half of the images.
    flip: bool = True
    #: Side of the square images that a folder's are scaled to; None takes that of the pretrained
    #: network, else 224.
    image_size: Annotated[Optional[Whole], Field(ge=8, le=1024)] = None
    #: Share of a folder's image that evaluation looks at, in the middle, along the shorter side.
    crop_pct: Annotated[Number, Field(gt=0, le=1)] = 0.875
    #: Mean and standard deviation per channel, of pixels in [0, 1]; None takes the data set's own,
    #: for a folder the pretrained network's or ImageNet's.
    mean: Channels = None
    std: Annotated[Channels, AfterValidator(above_0)] = None
    #: Values of black and white in images of a folder that have more than 8 bits and do not say it
    #: themselves, such as ``[0, 4095]``; None chooses one range for all of them.
    value_range: Annotated[Optional[list[Number]], AfterValidator(low_and_high)] = None
    #: What to do about corrupt images of a folder: leave them out, with a notice, or stop.
    on_corrupt: Literal["skip", "stop"] = "skip"
    #: Threads that prepare batches ahead; None is 2 for folders and 0 for images in memory.
    workers: Annotated[Optional[Whole], Field(ge=0, le=64)] = None
    #: MB of decoded images of a folder to keep in memory. Changes the speed, never the result.
    cache_mb: Annotated[Whole, Field(ge=0)] = 512


@dataclass(config=_STRICT)
class AugmentConfig:
    """What happens to training images beside ``data.crop_padding`` and ``data.flip``."""

    #: Smallest share of an image that a random crop may have, such as 0.35; the crop is scaled to
    #: the full size. 0 is off. Takes the place of ``data.crop_padding``.
    random_resized_crop: Annotated[Number, Field(ge=0, le=1)] = 0.0
    #: Show each image from its two sides in turn, not by chance, where ``data.flip`` is on.
    alternate_flip: bool = False
    #: TrivialAugment: one random operation of random strength on each image.
    trivial_augment: bool = False
    #: Probability that a random rectangle is set to the mean colour (to black without
    #: ``data.normalize``).
    random_erasing: Annotated[Number, Field(ge=0, le=1)] = 0.0
    #: Side in pixels of a square that is set to that colour in each image; 0 is off.
    cutout: Annotated[Whole, Field(ge=0)] = 0
    #: Alpha of mixup, such as 0.2, and of cutmix, such as 1: each batch is of one kind. 0 is off.
    mixup: Annotated[Number, AfterValidator(alpha)] = 0.0
    cutmix: Annotated[Number, AfterValidator(alpha)] = 0.0
    #: Size of the images at the beginning, as a share of the full one; it grows with the progress
    #: and is full from ``full_scale_at`` on. 1 is off.
    initial_scale: Annotated[Number, Field(ge=0.25, le=1)] = 1.0
    full_scale_at: Annotated[Number, Field(gt=0, le=1)] = 0.8


@dataclass(config=_STRICT)
class OptimizerConfig:
    """How gradients become steps."""

    #: sgd; momentum: sgd with momentum; adam; adamw: Adam with decoupled decay; lars and lamb:
    #: momentum and Adam with a rate for each layer, for very large batches; muon: momentum with
    #: orthogonal steps of convolutions, of which lr is the share of the weights that they change.
    name: Literal["sgd", "momentum", "adam", "adamw", "lars", "lamb", "muon"] = "momentum"
    #: The peak learning rate; the schedule scales it.
    lr: Annotated[Number, Field(gt=0)] = 0.1
    #: Of momentum, lars and muon; nesterov of momentum and muon.
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    #: Of adam, adamw and lamb: how slowly the means of gradients and of their squares forget.
    beta1: Annotated[Number, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[Number, Field(ge=0, lt=1)] = 0.999
    #: Of lars: a layer's step as a share of its weights' norm, at rate 1.
    trust_coefficient: Annotated[Number, Field(gt=0)] = 0.001
    #: sgd, momentum and adam add it to the gradient as an L2 penalty; adamw shrinks weights by lr
    #: times it; lars and lamb count it into each layer's step; muon holds the norm of convolutions
    #: and treats the rest as momentum does.
    weight_decay: Annotated[Number, Field(ge=0)] = 5e-4
    #: Whether the penalty also acts on biases and on the scales and shifts of norms.
    decay_norm_and_bias: bool = False
    #: Scale all gradients so that their common norm is at most this; None leaves them alone.
    clip_norm: Annotated[Optional[Number], Field(gt=0)] = None
    #: Cut every element of every gradient off at plus and minus this.
    clip_value: Annotated[Optional[Number], Field(gt=0)] = None
    #: The head learns at the full rate, each block in front at this share of the next one's.
    layer_decay: Annotated[Number, Field(gt=0, le=1)] = 1.0
    #: Factors of the rate by part of the network, such as ``{conv1: 0.1, layer1: 0.1}``, or, with
    #: a dot in front, by how the names of weights end, such as ``{.bias: 2}``.
    lr_multipliers: dict[str, Annotated[Number, Field(ge=0)]] = dataclasses.field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("clip_norm and clip_value exclude each other: set one of them to null")


@dataclass(config=_STRICT)
class ScheduleConfig:
    """The learning rate as a function of the progress from 0 to 1."""

    name: Literal["constant", "cosine", "linear", "polynomial", "step", "multistep", "onecycle"] = (
        "cosine"
    )
    #: Share of the training in which the rate climbs to its peak, linearly (onecycle: on half a
    #: cosine).
    warmup: Annotated[Number, Field(ge=0, lt=1)] = 0.05
    #: Where it climbs from, as a share of the peak.
    warmup_start_factor: Annotated[Number, Field(ge=0, le=1)] = 0.0
    #: Where the rate ends, as a share of its peak (constant, step and multistep end where they do).
    end_factor: Annotated[Number, Field(ge=0, le=1)] = 0.0
    #: Whether the rate changes with every step, or stays the same throughout an epoch (a round of
    #: a budgeted run) once the warm-up is over.
    interval: Literal["step", "epoch"] = "step"
    #: Of step: the share of the training between two drops; None: 0.3.
    step_size: Annotated[Optional[Number], Field(gt=0, lt=1)] = None
    #: Of multistep: shares of the training at which the rate drops; None: [0.5, 0.75].
    milestones: Optional[list[Annotated[Number, Field(gt=0, lt=1)]]] = None
    #: Of step and multistep: the factor of a drop; None: 0.1.
    gamma: Annotated[Optional[Number], Field(gt=0, le=1)] = None
    #: Of polynomial: the exponent; None: 2.
    power: Annotated[Optional[Number], Field(gt=0)] = None

    def __post_init__(self) -> None:
        for key, names in _OF_SCHEDULES.items():
            if getattr(self, key) is not None and self.name not in names:
                raise ValueError(
                    f"{key} is of {' and '.join(names)} and would have no effect on {self.name}"
                )
        if self.milestones is not None and self.milestones != sorted(set(self.milestones)):
            raise ValueError("milestones must climb, such as [0.5, 0.75]")


_OF_SCHEDULES = {
    "step_size": ("step",),
    "milestones": ("multistep",),
    "gamma": ("step", "multistep"),
    "power": ("polynomial",),
}


@dataclass(config=_STRICT)
class TrainConfig:
    """How long, in which portions, and what is watched."""

    #: Passes over the training set; a budget takes their place.
    epochs: Annotated[Whole, Field(ge=1)] = 30
    #: Wall time for everything from the first step to the test accuracy, such as 10m.
    budget: Optional[Seconds] = None
    batch_size: Annotated[Whole, Field(ge=1)] = 128
    eval_batch_size: Annotated[Whole, Field(ge=1)] = 250
    #: Whether to leave out a last batch that is not full: BN on a few images is noise.
    drop_last: bool = True
    #: Of several processes: whether batch norms see the whole batch, or each process's share.
    sync_bn: bool = False
    #: Batches whose gradients make one update, as one batch of all their images would.
    grad_accum_steps: Annotated[Whole, Field(ge=1)] = 1
    #: Numbers that convolutions compute with. auto: on CPUs with units for bfloat16, and where the
    #: CPU operator can be built, float32 or bfloat16, whichever a few steps at the start show to be
    #: faster; float32 elsewhere. A run stays with what it began with. float16 is for GPUs; a CPU
    #: computes in float32 and the run says so. O2 keeps the weights in half precision as well,
    #: beside a copy; on a CPU they are float32.
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    amp_level: Literal["O1", "O2"] = "O1"
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    #: Decides initial weights, order of images and augmentation.
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] = 0
    #: Whether a GPU must sum in the same order every time, which is slower; a CPU always does.
    deterministic: bool = False
    #: Trainings with the seeds ``seed``, ``seed + 1``, ...; more than one ends with a summary.
    num_seeds: Annotated[Whole, Field(ge=1, le=1000)] = 1
    #: Time between checkpoints within an epoch, or steps, such as `100 steps`.
    checkpoint_interval: Interval = 300.0
    #: Checkpoints that are kept; with two or more, a corrupt one does no harm.
    keep_checkpoints: Annotated[Whole, Field(ge=1)] = 2
    #: auto: resume the run in the folder run.name, where there is one. never: refuse to.
    resume: Literal["never", "auto"] = "never"


@dataclass(config=_STRICT)
class FinalTestConfig:
    """The evaluation of the test set, once, at the end."""

    #: Weights that the test set sees: best on the validation images, or last.
    weights: Literal["best", "last"] = "best"
    #: Views of an image whose answers are averaged: the image and its mirror image; these and two
    #: places close by; five places; or five places and their mirror images.
    tta: Literal["none", "flip", "shifts_flip", "crops", "crops_flip"] = "none"


@dataclass(config=_STRICT)
class EmaConfig:
    """A moving average of the weights, which is evaluated and saved in their place."""

    #: How much of the average stays in each update, such as 0.999; None: no average.
    decay: Annotated[Optional[Number], Field(gt=0, lt=1)] = None
    #: Forget faster at first: after n updates, no more than (1 + n) / (10 + n) stays.
    warmup: bool = True


@dataclass(config=_STRICT)
class FinetuneConfig:
    """Parts of the network that are held still at first, with their running statistics."""

    #: Until which share of the training a part is frozen, such as ``{backbone: 0.2}`` for the head
    #: first, then all; ``{conv1: 1, layer1: 1}`` never moves these two.
    unfreeze_at: dict[str, Annotated[Number, Field(gt=0, le=1)]] = dataclasses.field(
        default_factory=dict
    )


@dataclass(config=_STRICT)
class EarlyStoppingConfig:
    """An end before the planned one."""

    #: Evaluations without improvement after which training stops; None: it runs to its end.
    patience: Annotated[Optional[Whole], Field(ge=0)] = None
    monitor: Literal["val_loss", "val_acc_top1"] = "val_acc_top1"
    #: What counts as an improvement.
    min_delta: Annotated[Number, Field(ge=0)] = 0.0


@dataclass(config=_STRICT)
class PlateauConfig:
    """A smaller learning rate where nothing improves; multiplies what the schedule says."""

    #: Evaluations without improvement after which the rate drops; None: it never does.
    patience: Annotated[Optional[Whole], Field(ge=0)] = None
    monitor: Literal["val_loss", "val_acc_top1"] = "val_loss"
    min_delta: Annotated[Number, Field(ge=0)] = 1e-4
    #: What a drop multiplies the rate by.
    factor: Annotated[Number, Field(gt=0, lt=1)] = 0.1
    #: Evaluations after a drop in which nothing is counted.
    cooldown: Annotated[Whole, Field(ge=0)] = 0
    #: Where drops end, as a share of the scheduled rate.
    min_factor: Annotated[Number, Field(ge=0, lt=1)] = 0.0


@dataclass(config=_STRICT)
class RunConfig:
    """What a run leaves behind."""

    #: The folder that holds the runs.
    dir: Text = "runs"
    #: The run's own folder in it; None takes the recipe's name and the time.
    name: Annotated[Optional[Text], AfterValidator(one_folder)] = None
    #: Curves, images, weights and the recipe for VisualDL.
    visualdl: bool = True
    #: The network's graph for VisualDL, too: some 12 s for ResNet-50 before training begins.
    graph: bool = False
    report: bool = True
    #: Time between two lines of progress in a log file, and between two points of the step curves.
    log_interval: Seconds = 10.0
    #: Whether training continues when a file cannot be written, with a warning, or stops.
    on_write_error: Literal["warn", "stop"] = "warn"


@dataclass(config=_STRICT)
class Config:
    """A recipe."""

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    test: FinalTestConfig = dataclasses.field(default_factory=FinalTestConfig)
    ema: EmaConfig = dataclasses.field(default_factory=EmaConfig)
    finetune: FinetuneConfig = dataclasses.field(default_factory=FinetuneConfig)
    early_stopping: EarlyStoppingConfig = dataclasses.field(default_factory=EarlyStoppingConfig)
    plateau: PlateauConfig = dataclasses.field(default_factory=PlateauConfig)
    run: RunConfig = dataclasses.field(default_factory=RunConfig)
