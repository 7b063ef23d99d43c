"""Recipes: the schema of a training run, read from YAML and overridden from the command line.

The dataclasses below are the whole schema: what they do not name is an error, and every value is
checked against its type and range before anything starts.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from ..errors import ConfigError, did_you_mean, for_display
from .effects import refuse_without_effect
from .recipe_text import TextKeys, dump_recipe, parse_override, parse_recipe

_STRICT = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)
_UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(value: Any) -> Any:
    """Turn ``"90s"``, ``"10m"``, ``"1h30m"`` or a number of seconds into seconds.

    Raises:
        ValueError: the text is no duration.
    """
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    text = str(value).replace(" ", "").lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a duration such as 90s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_interval(value: Any) -> Any:
    """Turn ``"100 steps"`` into itself, and everything else as :func:`parse_duration` does.

    Raises:
        ValueError: the text is neither.
    """
    text = str(value).strip().lower()
    match = re.fullmatch(r"(\d+)\s*steps?", text)
    if match and int(match[1]) > 0:
        return f"{int(match[1])} steps"
    try:
        seconds = parse_duration(value)
        seconds = None if isinstance(seconds, bool) else float(seconds)
    except (ValueError, TypeError, OverflowError):
        seconds = None
    if seconds is None or not seconds > 0:
        raise ValueError("expected a duration such as 10m, or a number of steps such as 100 steps")
    return seconds


def steps_of(interval: Union[float, str]) -> Optional[int]:
    """Return the steps of an interval that is one of steps, None of one of seconds."""
    return int(interval.split()[0]) if isinstance(interval, str) else None


def _no_bool(value: Any) -> Any:
    # In Python a bool is a number: `lr: yes` would silently become 1.
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


def _one_folder(value: Optional[str]) -> Optional[str]:
    if value is not None and (value in ("", ".", "..") or not value.isprintable() or "/" in value):
        raise ValueError("expected the name of one folder")
    return value


def _alpha(value: float) -> float:
    if value != 0 and not 0.05 <= value <= 4:
        raise ValueError("expected 0, or from 0.05 to 4")
    return value


def _share_or_whole(value: Optional[float]) -> Optional[float]:
    if value is not None and value > 1 and value != int(value):
        raise ValueError("expected a share below 1, or a whole number of images")
    return value


def _on_the_scale(values: Optional[list[float]]) -> Optional[list[float]]:
    if values is not None and not all(0 <= value <= 1 for value in values):
        raise ValueError(
            "expected numbers from 0 to 1, as pixels are here: divide figures of 0 to 255 by 255"
        )
    return values


def _above_0(values: Optional[list[float]]) -> Optional[list[float]]:
    if values is not None and 0 in values:
        raise ValueError("expected numbers above 0: images are divided by them")
    return values


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("expected a text without the character NUL")
    return value


_Text = Annotated[str, AfterValidator(_without_nul)]
_Number = Annotated[float, BeforeValidator(_no_bool)]
_Whole = Annotated[int, BeforeValidator(_no_bool)]
_Amount = Union[_Whole, _Number]
_Channels = Annotated[Optional[list[_Number]], AfterValidator(_on_the_scale)]
_Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
_Interval = Annotated[Union[float, str], BeforeValidator(parse_interval)]


@dataclass(config=_STRICT)
class ModelConfig:
    """The network."""

    #: A name of ``list_models()``.
    name: _Text = "resnet50"
    #: Options of the network, such as ``stem: cifar``; num_classes comes from the data.
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: Weights to start from: a run folder, a weights file of any framework, or ``published`` for
    #: the ImageNet weights that Paddle publishes. A run or file of ours brings its network,
    #: options, image size and normalisation along; other classes get a new head.
    pretrained: Optional[_Text] = None


@dataclass(config=_STRICT)
class DataConfig:
    """The images."""

    #: folder: images in a folder per class, or in lists; ``root`` says where.
    name: Literal["cifar10", "cifar100", "folder"] = "cifar10"
    #: An archive, folder or list to read; None looks in the caches and then downloads CIFAR.
    root: Optional[_Text] = None
    #: Whether anything may be fetched.
    download: bool = True
    #: Whether the 2,500 images inside the package may stand in for data that cannot be had.
    sample: bool = True
    #: Training images held out, each class by its share, for validation: a number, or below 1 a
    #: share. None: 5,000 of CIFAR, a tenth of a folder that has no part for it.
    validation: Annotated[Optional[_Amount], Field(ge=0), AfterValidator(_share_or_whole)] = None
    #: Images of a folder held out for the test, where it has no part for it; as ``validation``.
    test: Annotated[_Amount, Field(gt=0), AfterValidator(_share_or_whole)] = 0.1
    #: Use the first this many training images of a fixed shuffle; None uses all.
    limit: Annotated[Optional[_Whole], Field(ge=1)] = None
    #: Subtract the training set's mean and divide by its standard deviation, per channel.
    normalize: bool = True
    #: Augmentation: zero-pad by this many pixels on each side and cut the old size out at random.
    crop_padding: Annotated[_Whole, Field(ge=0, le=32)] = 4
    #: Augmentation: mirror half of the images.
    flip: bool = True
    #: Side of the square images that a folder's are scaled to; None takes that of the pretrained
    #: network, else 224.
    image_size: Annotated[Optional[_Whole], Field(ge=8, le=1024)] = None
    #: Share of a folder's image that evaluation looks at, in the middle, along the shorter side.
    centre: Annotated[_Number, Field(gt=0, le=1)] = 0.875
    #: Mean and standard deviation per channel, of pixels in [0, 1]; None takes the data set's own,
    #: for a folder the pretrained network's or ImageNet's.
    mean: _Channels = None
    std: Annotated[_Channels, AfterValidator(_above_0)] = None
    #: What to do about damaged images of a folder: leave them out, with a notice, or stop.
    damaged: Literal["skip", "stop"] = "skip"
    #: Threads that prepare batches ahead; None is 2 for folders and 0 for images in memory.
    workers: Annotated[Optional[_Whole], Field(ge=0, le=64)] = None
    #: MB of decoded images of a folder to keep in memory. Changes the speed, never the result.
    memory: Annotated[_Whole, Field(ge=0)] = 512


@dataclass(config=_STRICT)
class AugmentConfig:
    """What happens to training images beside ``data.crop_padding`` and ``data.flip``."""

    #: Smallest share of an image that a random crop may have, such as 0.35; the crop is scaled to
    #: the full size. 0 is off. Takes the place of ``data.crop_padding``.
    resized_crop: Annotated[_Number, Field(ge=0, le=1)] = 0.0
    #: Show each image from its two sides in turn, not by chance, where ``data.flip`` is on.
    alternate_flip: bool = False
    #: TrivialAugment: one random operation of random strength on each image.
    trivial: bool = False
    #: Probability that a random rectangle is set to the mean colour (to black without
    #: ``data.normalize``).
    erase: Annotated[_Number, Field(ge=0, le=1)] = 0.0
    #: Side in pixels of a square that is set to that colour in each image; 0 is off.
    cutout: Annotated[_Whole, Field(ge=0)] = 0
    #: Alpha of mixup, such as 0.2, and of cutmix, such as 1: each batch is of one kind. 0 is off.
    mixup: Annotated[_Number, AfterValidator(_alpha)] = 0.0
    cutmix: Annotated[_Number, AfterValidator(_alpha)] = 0.0
    #: Size of the images at the beginning, as a share of the full one; it grows with the progress
    #: and is full from ``size_until`` on. 1 is off.
    size_from: Annotated[_Number, Field(ge=0.25, le=1)] = 1.0
    size_until: Annotated[_Number, Field(gt=0, le=1)] = 0.8
    #: Views of an image whose answers the final test averages: the image and its mirror image;
    #: these and two places close by; five places; or five places and their mirror images.
    test_time: Literal["none", "flip", "shifts_flip", "crops", "crops_flip"] = "none"


@dataclass(config=_STRICT)
class OptimizerConfig:
    """How gradients become steps."""

    #: sgd; momentum: sgd with momentum; adam; adamw: Adam with decoupled decay; lars and lamb:
    #: momentum and Adam with a rate for each layer, for very large batches; muon: momentum with
    #: orthogonal steps of convolutions, of which lr is the share of the weights that they change.
    name: Literal["sgd", "momentum", "adam", "adamw", "lars", "lamb", "muon"] = "momentum"
    #: The peak learning rate; the schedule scales it.
    lr: Annotated[_Number, Field(gt=0)] = 0.1
    #: Of momentum, lars and muon; nesterov of momentum and muon.
    momentum: Annotated[_Number, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    #: Of adam, adamw and lamb: how slowly the means of gradients and of their squares forget.
    beta1: Annotated[_Number, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[_Number, Field(ge=0, lt=1)] = 0.999
    #: Of lars: a layer's step as a share of its weights' norm, at rate 1.
    trust: Annotated[_Number, Field(gt=0)] = 0.001
    #: sgd, momentum and adam add it to the gradient as an L2 penalty; adamw shrinks weights by lr
    #: times it; lars and lamb count it into each layer's step; muon holds the norm of convolutions
    #: and treats the rest as momentum does.
    weight_decay: Annotated[_Number, Field(ge=0)] = 5e-4
    #: Whether the penalty also acts on biases and on the scales and shifts of norms.
    decay_norm_and_bias: bool = False
    #: Scale all gradients so that their common norm is at most this; None leaves them alone.
    clip_norm: Annotated[Optional[_Number], Field(gt=0)] = None
    #: Cut every element of every gradient off at plus and minus this.
    clip_value: Annotated[Optional[_Number], Field(gt=0)] = None
    #: The head learns at the full rate, each block in front at this share of the next one's.
    layer_decay: Annotated[_Number, Field(gt=0, le=1)] = 1.0
    #: Factors of the rate by part of the network, such as ``{conv1: 0.1, layer1: 0.1}``, or, with
    #: a dot in front, by how the names of weights end, such as ``{.bias: 2}``.
    rates: dict[str, Annotated[_Number, Field(ge=0)]] = dataclasses.field(default_factory=dict)

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
    warmup: Annotated[_Number, Field(ge=0, lt=1)] = 0.05
    #: Where it climbs from, as a share of the peak.
    warmup_from: Annotated[_Number, Field(ge=0, le=1)] = 0.0
    #: Where the rate ends, as a share of its peak (constant, step and multistep end where they do).
    final: Annotated[_Number, Field(ge=0, le=1)] = 0.0
    #: Whether the rate changes with every step, or stays the same throughout an epoch (a round of
    #: a budgeted run) once the warm-up is over.
    by: Literal["step", "epoch"] = "step"
    #: Of step: the share of the training between two drops; None: 0.3.
    every: Annotated[Optional[_Number], Field(gt=0, lt=1)] = None
    #: Of multistep: shares of the training at which the rate drops; None: [0.5, 0.75].
    milestones: Optional[list[Annotated[_Number, Field(gt=0, lt=1)]]] = None
    #: Of step and multistep: the factor of a drop; None: 0.1.
    gamma: Annotated[Optional[_Number], Field(gt=0, le=1)] = None
    #: Of polynomial: the exponent; None: 2.
    power: Annotated[Optional[_Number], Field(gt=0)] = None

    def __post_init__(self) -> None:
        for key, names in _OF_SCHEDULES.items():
            if getattr(self, key) is not None and self.name not in names:
                raise ValueError(
                    f"{key} is of {' and '.join(names)} and would have no effect on {self.name}"
                )
        if self.milestones is not None and self.milestones != sorted(set(self.milestones)):
            raise ValueError("milestones must climb, such as [0.5, 0.75]")


_OF_SCHEDULES = {
    "every": ("step",),
    "milestones": ("multistep",),
    "gamma": ("step", "multistep"),
    "power": ("polynomial",),
}


@dataclass(config=_STRICT)
class TrainConfig:
    """How long, in which portions, and what is watched."""

    #: Passes over the training set; a budget takes their place.
    epochs: Annotated[_Whole, Field(ge=1)] = 30
    #: Wall time for everything from the first step to the test accuracy, such as 10m.
    budget: Optional[_Seconds] = None
    batch_size: Annotated[_Whole, Field(ge=1)] = 128
    eval_batch_size: Annotated[_Whole, Field(ge=1)] = 250
    #: Whether to leave out a last batch that is not full: BN on a few images is noise.
    drop_last: bool = True
    #: Of several processes: whether batch norms see the whole batch, or each process's share.
    sync_bn: bool = False
    #: Batches whose gradients make one update, as one batch of all their images would.
    accumulate: Annotated[_Whole, Field(ge=1)] = 1
    #: Numbers that convolutions compute with: auto is bfloat16 on CPUs that have units for it,
    #: where the CPU operator can be built, and float32 elsewhere; a run stays with what it began
    #: with. float16 is for GPUs; a CPU computes in float32 and the run says so. O2 keeps the
    #: weights in half precision as well, beside a copy; on a CPU they are float32.
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    precision_level: Literal["O1", "O2"] = "O1"
    label_smoothing: Annotated[_Number, Field(ge=0, lt=1)] = 0.0
    #: Decides initial weights, order of images and augmentation.
    seed: Annotated[_Whole, Field(ge=0, lt=2**31)] = 0
    #: Whether a GPU must sum in the same order every time, which is slower; a CPU always does.
    deterministic: bool = False
    #: Trainings with the seeds ``seed``, ``seed + 1``, ...; more than one ends with a summary.
    runs: Annotated[_Whole, Field(ge=1, le=1000)] = 1
    #: Weights that the test set sees: best on the validation images, or last.
    select: Literal["best", "last"] = "best"
    #: Time between checkpoints within an epoch, or steps, such as `100 steps`.
    save_every: _Interval = 300.0
    #: Checkpoints that are kept; with two or more, a damaged one does no harm.
    keep_checkpoints: Annotated[_Whole, Field(ge=1)] = 2
    #: auto: go on with the run in the folder run.name, where there is one. never: refuse to.
    resume: Literal["never", "auto"] = "never"


@dataclass(config=_STRICT)
class EmaConfig:
    """A moving average of the weights, which is evaluated and saved in their place."""

    #: How much of the average stays in each update, such as 0.999; None: no average.
    decay: Annotated[Optional[_Number], Field(gt=0, lt=1)] = None
    #: Forget faster at first: after n updates, no more than (1 + n) / (10 + n) stays.
    warmup: bool = True


@dataclass(config=_STRICT)
class FinetuneConfig:
    """Parts of the network that are held still at first, with their running statistics."""

    #: Until which share of the training a part is frozen, such as ``{backbone: 0.2}`` for the head
    #: first, then all; ``{conv1: 1, layer1: 1}`` never moves these two.
    frozen_until: dict[str, Annotated[_Number, Field(gt=0, le=1)]] = dataclasses.field(
        default_factory=dict
    )


@dataclass(config=_STRICT)
class EarlyStoppingConfig:
    """An end before the planned one."""

    #: Evaluations without improvement after which training stops; None: it goes on to its end.
    patience: Annotated[Optional[_Whole], Field(ge=0)] = None
    monitor: Literal["val_loss", "val_acc_top1"] = "val_acc_top1"
    #: What counts as an improvement.
    min_delta: Annotated[_Number, Field(ge=0)] = 0.0


@dataclass(config=_STRICT)
class PlateauConfig:
    """A smaller learning rate where nothing improves; multiplies what the schedule says."""

    #: Evaluations without improvement after which the rate drops; None: it never does.
    patience: Annotated[Optional[_Whole], Field(ge=0)] = None
    monitor: Literal["val_loss", "val_acc_top1"] = "val_loss"
    min_delta: Annotated[_Number, Field(ge=0)] = 1e-4
    #: What a drop multiplies the rate by.
    factor: Annotated[_Number, Field(gt=0, lt=1)] = 0.1
    #: Evaluations after a drop in which nothing is counted.
    cooldown: Annotated[_Whole, Field(ge=0)] = 0
    #: Where drops end, as a share of the scheduled rate.
    least: Annotated[_Number, Field(ge=0, lt=1)] = 0.0


@dataclass(config=_STRICT)
class RunConfig:
    """What a run leaves behind."""

    #: The folder that holds the runs.
    dir: _Text = "runs"
    #: The run's own folder in it; None takes the recipe's name and the time.
    name: Annotated[Optional[_Text], AfterValidator(_one_folder)] = None
    #: Curves, images, weights and the recipe for VisualDL.
    visualdl: bool = True
    #: The network's graph for VisualDL, too: some 12 s for ResNet-50 before training begins.
    graph: bool = False
    report: bool = True
    #: Time between two lines of progress in a log file, and between two points of the step curves.
    log_every: _Seconds = 10.0
    #: Whether training goes on when a file cannot be written, with a warning, or stops.
    write_errors: Literal["warn", "stop"] = "warn"


@dataclass(config=_STRICT)
class Config:
    """A recipe."""

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    ema: EmaConfig = dataclasses.field(default_factory=EmaConfig)
    finetune: FinetuneConfig = dataclasses.field(default_factory=FinetuneConfig)
    early_stopping: EarlyStoppingConfig = dataclasses.field(default_factory=EarlyStoppingConfig)
    plateau: PlateauConfig = dataclasses.field(default_factory=PlateauConfig)
    run: RunConfig = dataclasses.field(default_factory=RunConfig)


_ADAPTER = TypeAdapter(Config)


def config_folder() -> Path:
    """Return the folder of the recipes that come with the package."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in config_folder().glob("*.yaml"))


def find_recipe(recipe: str) -> Path:
    """Return the file of a recipe: a path, or the bare name of one that comes with the package.

    Raises:
        ConfigError: there is none; says which there are.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    own = config_folder() / f"{path.stem if path.suffix == '.yaml' else path.name}.yaml"
    # A path to anywhere else is meant as it stands: no other file may take its place.
    if path.parent in (Path(), Path("configs")) and own.is_file():
        return own
    names = list_recipes()
    raise ConfigError(
        f"there is no recipe '{for_display(recipe)}': expected a YAML file or one of "
        f"{', '.join(names)}." + did_you_mean(path.stem, names)
    )


def load_config(recipe: Union[str, Path, None] = None, overrides: tuple[str, ...] = ()) -> Config:
    """Read a recipe and apply overrides to it.

    Args:
        recipe: a YAML file or the name of a recipe of the package; None gives the defaults.
        overrides: texts such as ``"train.budget=10m"``; values are read as YAML.

    Returns:
        Config: complete and checked.

    Raises:
        ConfigError: an unknown key (with the nearest name), a value of the wrong type or out of
            range, a setting that was given and would have no effect, or a file that is no YAML.
    """
    values = _read_yaml(find_recipe(str(recipe))) if recipe is not None else {}
    in_file, overriding = _full_keys(values), {}
    for override in overrides:
        _apply_override(values, override)
        _apply_override(overriding, override)
    config = config_from_dict(values, origin=str(recipe) if recipe else "the command line")
    overridden = _full_keys(overriding)
    # A file that holds most keys is a resolved recipe, maybe of an older version that had fewer:
    # nobody gave them one by one.
    resolved = len(in_file & set(all_keys())) > len(all_keys()) / 2
    _refuse_useless(config, set() if resolved else in_file, overridden)
    return config


def _refuse_useless(config: Config, in_file: set[str], overridden: set[str]) -> None:
    given = in_file | overridden
    refuse_without_effect(config_to_dict(config), config_to_dict(Config()), in_file, overridden)
    if "train.epochs" in overridden and config.train.budget is not None:
        raise ConfigError(
            f"train.epochs={config.train.epochs} would have no effect beside the budget of "
            f"{config.train.budget:g} s: add -o train.budget=null."
        )
    side = config.data.image_size if config.data.name == "folder" else 32
    if "augment.cutout" in given and side is not None and config.augment.cutout >= side:
        raise ConfigError(
            f"augment.cutout={config.augment.cutout} is as large as the images, which have {side} "
            f"x {side} pixels: expected less than {side}, such as {side // 2}."
        )


def config_from_dict(values: dict[str, Any], origin: str = "the recipe") -> Config:
    """Check nested values against the schema and fill in the defaults.

    Raises:
        ConfigError: see :func:`load_config`; ``origin`` says in the sentence where they are from.
    """
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error.errors()[0], origin)) from None


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return a recipe as nested plain values, every key present."""
    return dataclasses.asdict(config)


def config_to_yaml(config: Config) -> str:
    """Return a recipe as YAML, every key present, in the schema's order."""
    return dump_recipe(config_to_dict(config))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"'{path}' is no text file: expected a recipe in YAML.") from None
    values = parse_recipe(text, f"'{path}'", _text_keys())
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"'{path}' holds a {type(values).__name__}, expected sections such as 'model:'."
        )
    # `section:` with nothing below it means the section's defaults
    return {key: {} if value is None else value for key, value in values.items()}


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if key != key.strip():  # `KEY = VALUE`, where the blank is no part of a text either
        key, text = key.strip(), text.lstrip()
    if not equals or not key or not all(key.split(".")):
        raise ConfigError(
            f"override '{for_display(override)}' is not of the form section.key=value."
        )
    *sections, last = key.split(".")
    here = values
    for section in sections:
        here = here.setdefault(section, {})
        if not isinstance(here, dict):
            raise ConfigError(
                f"override '{for_display(override)}': '{for_display(section)}' is a value, "
                "not a section."
            )
    origin = f"the value of override '{for_display(override)}'"
    here[last] = parse_override(key, text, origin, _text_keys())


def _sentence(error: dict[str, Any], origin: str) -> str:
    """Turn pydantic's first finding into one sentence."""
    path = [str(part) for part in error["loc"]]
    key = for_display(".".join(path))
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys(path[:-1])
        where = f"section '{for_display('.'.join(path[:-1]))}'" if path[:-1] else "a recipe"
        hint = did_you_mean(path[-1], known)
        elsewhere = [full for full in all_keys() if full.endswith("." + path[-1])]
        if elsewhere:
            hint = f" Did you mean '{elsewhere[0]}'?"
        return f"unknown key '{key}' in {origin}: {where} has {', '.join(known)}.{hint}"
    given = error.get("input")
    expected = error["msg"].replace("Value error, ", "")
    expected = expected[:1].lower() + expected[1:]
    hint = ""
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']+)'", error["ctx"]["expected"])
        expected = f"expected {' or '.join(choices)}"
        hint = did_you_mean(str(given), choices)
    value = for_display(repr(given), 57) if len(repr(given)) > 60 else repr(given)
    expected = re.sub(r"a dictionary or an instance of \w+", "a section with keys", expected)
    return f"'{key}' is {value} in {origin}: {expected}.{hint}"


def _keys(path: list[str]) -> list[str]:
    here: Any = Config
    for part in path:
        fields = {field.name: field.default_factory for field in dataclasses.fields(here)}
        here = fields.get(part)
        if not dataclasses.is_dataclass(here):
            return []
    return [field.name for field in dataclasses.fields(here)]


def _full_keys(values: dict[str, Any]) -> set[str]:
    """Return the keys of nested values, as overrides name them."""
    sections = {name: inner for name, inner in values.items() if isinstance(inner, dict)}
    return {f"{name}.{key}" for name, inner in sections.items() for key in inner}


def all_keys() -> list[str]:
    """Return every key of a recipe, such as ``train.batch_size``."""
    return [f"{section}.{key}" for section in _keys([]) for key in _keys([section])]


@functools.cache
def _text_keys() -> TextKeys:
    """Return the keys whose value is a text, and of each whether null stands for none."""
    texts = {}
    for section, kind in typing.get_type_hints(Config).items():
        for name, hint in typing.get_type_hints(kind).items():
            choices = typing.get_args(hint) if typing.get_origin(hint) is Union else (hint,)
            if all(choice in (str, type(None)) or _is_choice(choice) for choice in choices):
                texts[f"{section}.{name}"] = type(None) in choices
    return texts


def _is_choice(hint: Any) -> bool:
    """Return whether a type is a choice of words."""
    return typing.get_origin(hint) is Literal
