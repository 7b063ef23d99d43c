import contextlib
import random

import pytest
from config_fuzz import fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paddle_resnet.config import (
    config_from_dict,
    config_to_dict,
    config_to_yaml,
    find_recipe,
    list_recipes,
    load_config,
    parse_duration,
)
from paddle_resnet.errors import ConfigError


def refused(*overrides, recipe=None):
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, overrides)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("recipe", list_recipes())
def test_every_recipe_is_sound_and_survives_a_round_trip(recipe, tmp_path):
    config = load_config(recipe)
    copy = tmp_path / "copy.yaml"
    copy.write_text(config_to_yaml(config))
    assert load_config(copy) == config


def test_the_recipes_that_the_readme_names_exist():
    assert {
        "quickstart",
        "resnet18_cifar10",
        "resnet50_cifar10",
        "resnet50_cifar10_tutorial",
    } <= set(list_recipes())


def test_the_lesson_is_the_lesson():
    config = load_config("resnet50_cifar10_tutorial")
    assert (config.optimizer.lr, config.optimizer.momentum) == (0.01, 0.9)
    assert (config.optimizer.weight_decay, config.optimizer.decay_norm_and_bias) == (1e-4, True)
    assert (config.train.epochs, config.train.batch_size) == (50, 64)
    assert (config.schedule.name, config.schedule.warmup) == ("constant", 0)
    assert (config.data.normalize, config.data.flip, config.data.crop_padding) == (False, False, 0)
    assert config.model.options == {"stem": "imagenet"}


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml"])
def test_a_bare_name_finds_a_recipe(name):
    assert find_recipe(name).is_file()


def test_unknown_recipe_names_the_nearest():
    assert "Did you mean 'quickstart'?" in refused(recipe="quickstrat")


def test_overrides_change_values_of_their_type():
    config = load_config(
        "quickstart",
        ("train.budget=1h30m", "optimizer.lr=1e-3", "data.flip=no", "model.options.stem=cifar"),
    )
    assert config.train.budget == 5400
    assert config.optimizer.lr == 1e-3
    assert config.data.flip is False
    assert config.model.options["stem"] == "cifar"


def test_epochs_beside_a_budget_are_not_silently_ignored():
    assert "no effect beside the budget" in refused("train.epochs=7", recipe="quickstart")


@pytest.mark.parametrize(
    ("overrides", "needs"),
    [
        (
            ["optimizer.trust_coefficient=0.01"],
            "optimizer.name=lars, and optimizer.name is momentum",
        ),
        (["optimizer.beta1=0.8"], "optimizer.name=adam or adamw or lamb"),
        (["optimizer.beta2=0.99"], "optimizer.name=adam or adamw or lamb"),
        (
            ["optimizer.momentum=0.8", "optimizer.name=sgd"],
            "optimizer.name=momentum or lars or muon",
        ),
        (
            ["optimizer.nesterov=false", "optimizer.name=lars"],
            "optimizer.name=momentum or muon, and",
        ),
        (
            ["optimizer.decay_norm_and_bias=true", "optimizer.weight_decay=0"],
            "optimizer.weight_decay above 0, and optimizer.weight_decay is 0",
        ),
        (["schedule.end_factor=0.1", "schedule.name=step"], "schedule.name=cosine or linear or"),
        (["schedule.warmup_start_factor=0.1", "schedule.warmup=0"], "schedule.warmup above 0"),
        (
            ["schedule.interval=epoch", "schedule.name=constant"],
            "schedule.name=cosine or linear or",
        ),
        (["train.amp_level=O2"], "train.precision=float16 or bfloat16"),
        (
            ["augment.full_scale_at=0.5"],
            "augment.initial_scale below 1, and augment.initial_scale is 1.0",
        ),
        (["plateau.factor=0.5"], "plateau.patience of 0 or more, and plateau.patience is null"),
        (["plateau.monitor=val_acc_top1"], "plateau.patience"),
        (["plateau.min_delta=0.1"], "plateau.patience"),
        (["plateau.cooldown=2"], "plateau.patience"),
        (["plateau.min_factor=0.1"], "plateau.patience"),
        (["early_stopping.min_delta=0.1"], "early_stopping.patience of 0 or more"),
        (["early_stopping.monitor=val_loss"], "early_stopping.patience"),
        (["ema.warmup=false"], "ema.decay above 0, and ema.decay is null"),
        (["data.crop_pct=0.5"], "data.name=folder, and data.name is cifar10"),
        (["data.test=0.2"], "data.name=folder"),
        (["data.on_corrupt=stop"], "data.name=folder"),
        (["data.cache_mb=9"], "data.name=folder"),
        (["data.image_size=64", "data.name=cifar100"], "data.name=folder"),
        (["data.mean=[0.5, 0.5, 0.5]", "data.normalize=false"], "data.normalize=true"),
        (["data.std=[0.5, 0.5, 0.5]", "data.normalize=false"], "data.normalize=true, and"),
    ],
)
def test_a_setting_without_effect_is_refused_wherever_it_was_given(overrides, needs, tmp_path):
    key, _, value = overrides[0].partition("=")
    sentence = refused(*overrides)
    assert f"{key}={value} would have no effect: it is for " in sentence
    assert needs in sentence
    path = tmp_path / "recipe.yaml"
    sections = {}
    for override in overrides:
        section, _, setting = override.partition(".")
        sections.setdefault(section, []).append(setting.replace("=", ": ", 1))
    path.write_text("".join(f"{s}: {{{', '.join(keys)}}}\n" for s, keys in sections.items()))
    assert refused(recipe=str(path)) == sentence


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.name=lars", "optimizer.trust_coefficient=0.01", "optimizer.momentum=0.8"],
        ["optimizer.name=lamb", "optimizer.beta1=0.8", "optimizer.beta2=0.99"],
        [
            "optimizer={name: sgd, trust_coefficient: 0.001, momentum: 0.9, nesterov: true}"
        ],  # the defaults
        ["schedule.name=constant", "schedule.warmup_start_factor=0.1", "schedule.end_factor=0"],
        ["schedule.name=step", "schedule.interval=epoch"],
        ["train.precision=float16", "train.amp_level=O2"],
        ["augment.initial_scale=0.5", "augment.full_scale_at=0.5"],
        ["plateau.patience=0", "plateau.factor=0.5", "plateau.min_factor=0.1"],
        ["early_stopping.patience=0", "early_stopping.min_delta=0.1"],
        ["ema.decay=0.9", "ema.warmup=false"],
        ["data.name=folder", "data.crop_pct=1", "data.test=20", "data.cache_mb=0"],
        ["data.mean=[0, 0, 0]", "data.std=[1, 1, 1]"],
        ["train.sync_bn=true"],  # in one process, a notice: the recipe serves several as well
    ],
)
def test_settings_with_an_effect_and_defaults_are_not(overrides):
    load_config(None, tuple(overrides))


def test_a_recipes_own_setting_gives_way_to_an_override_of_what_it_depends_on():
    config = load_config("resnet20_cifar10_paper", ("optimizer.name=adamw",))
    assert config.optimizer.name == "adamw"
    assert "optimizer.nesterov=false would have no effect" in refused(
        "optimizer.name=adamw", "optimizer.nesterov=false", recipe="resnet20_cifar10_paper"
    )


def test_a_whole_section_as_an_override_is_looked_into():
    assert "optimizer.trust_coefficient=3.0 would have no effect" in refused(
        "optimizer={trust_coefficient: 3}"
    )


def test_a_resolved_recipe_is_not_asked_which_of_its_keys_were_meant(tmp_path):
    values = config_to_dict(load_config())
    values["optimizer"]["trust_coefficient"], values["ema"]["warmup"] = 0.5, False
    config = config_from_dict(values)
    path = tmp_path / "config.yaml"
    path.write_text(config_to_yaml(config))
    assert load_config(path) == config
    older = config_to_yaml(config).replace("  cutout: 0\n", "")  # a key that came later
    path.write_text(older)
    assert load_config(path) == config
    assert load_config(path, ("optimizer.lr=3",)).optimizer.trust_coefficient == 0.5
    # What is changed about it was meant.
    assert "plateau.factor=0.5 would have no" in refused("plateau.factor=0.5", recipe=str(path))


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["augment.cutout=32"], "as large as the images, which have 32 x 32 pixels"),
        (["augment.cutout=64", "data.name=folder", "data.image_size=64"], "less than 64"),
    ],
)
def test_a_square_as_large_as_the_image_is_refused(overrides, part):
    assert part in refused(*overrides)


def test_a_square_smaller_than_the_image_is_not():
    assert load_config(None, ("augment.cutout=31",)).augment.cutout == 31
    assert load_config(None, ("augment.cutout=32", "data.name=folder")).augment.cutout == 32


def test_a_path_to_elsewhere_is_not_replaced_by_a_recipe_of_the_package():
    assert "there is no recipe" in refused(recipe="/nowhere/quickstart.yaml")


def test_null_removes_a_budget():
    assert load_config("quickstart", ("train.budget=null",)).train.budget is None


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.bugdet=3m", ["unknown key 'train.bugdet'", "Did you mean 'budget'?"]),
        ("budget=3m", ["Did you mean 'train.budget'?"]),
        ("trian.epochs=3", ["Did you mean 'train'?"]),
        ("schedule.name=cosin", ["expected constant or cosine", "Did you mean 'cosine'?"]),
        ("optimizer.lr=yes", ["'optimizer.lr' is True", "expected a number"]),
        ("optimizer.lr=abc", ["'optimizer.lr' is 'abc'"]),
        ("optimizer.lr=-1", ["greater than 0"]),
        ("optimizer.lr=.nan", ["finite"]),
        ("optimizer.lr=.inf", ["finite"]),
        ("train.epochs=2.5", ["'train.epochs' is 2.5"]),
        ("train.epochs=0", ["greater than or equal to 1"]),
        ("train.budget=10x", ["a duration such as 90s, 10m or 1h30m"]),
        ("train.budget=0", ["greater than 0"]),
        ("train.seed=", ["'train.seed'"]),
        ("data.mean=[125.3, 123.0, 113.9]", ["'data.mean'", "from 0 to 1", "divide", "by 255"]),
        ("data.mean=[-0.1]", ["'data.mean'", "from 0 to 1"]),
        ("data.std=[63.0]", ["'data.std'", "from 0 to 1"]),
        ("data.std=[0.2, 0, 0.2]", ["'data.std'", "above 0"]),
        ("data.validation=5000.5", ["'data.validation' is 5000.5", "a whole number of images"]),
        ("data.test=1.5", ["'data.test' is 1.5", "a share below 1"]),
        ("model=3", ["'model' is 3"]),
        ("optimizer.lr=[1,", ["no valid YAML"]),
        ("optimizer.lr", ["section.key=value"]),
        ("run.name=a/b", ["the name of one folder"]),
        ("run.name=..", ["the name of one folder"]),
        ("=3", ["section.key=value"]),
        ("a..b=3", ["section.key=value"]),
        ("train.epochs.x=3", ["'train.epochs'"]),
    ],
)
def test_bad_overrides_are_sentences(override, parts):
    sentence = refused(override)
    for part in parts:
        assert part in sentence


def test_an_override_below_a_value_of_the_recipe_is_refused():
    assert "is a value, not a section" in refused("train.budget.x=3", recipe="quickstart")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("model: {name: a, name: b}", "stands there twice"),
        ("- 1\n- 2", "expected sections"),
        ("just a text", "expected sections"),
        ("model: [", "no valid YAML"),
        ("[a, b]: 1", "a key must be a plain word"),
        ("model: {options: &o {a: *o}}", "aliases are not supported"),
        ("model: !!python/object/apply:os.system ['true']", "no valid YAML"),
        ("nonsense: 1", "unknown key 'nonsense'"),
    ],
)
def test_bad_files_are_sentences(text, part, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert part in refused(recipe=str(path))


def test_a_binary_file_is_no_recipe(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    assert "no text file" in refused(recipe=str(path))


def test_an_empty_file_and_empty_sections_give_the_defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    for text in ("", "model:\ntrain:\n"):
        path.write_text(text)
        assert load_config(path) == load_config()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5m", 90), (45, 45)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


_names = st.text(max_size=8)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
)
_sections = st.sampled_from(["model", "data", "optimizer", "schedule", "train", "run", "x"])
_keys = st.sampled_from(
    ["name", "lr", "epochs", "budget", "seed", "options", "end_factor", "x", ""]
)


# The first example is slow: hypothesis builds its table of characters.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(_sections, st.dictionaries(_keys, _values) | _values))
def test_any_input_is_a_config_or_a_sentence(values):
    with contextlib.suppress(ConfigError):
        assert config_from_dict(values).optimizer.lr > 0


def test_mutated_recipes_are_recipes_or_sentences(tmp_path):
    counts = fuzz(300, random.Random(1), tmp_path)
    assert counts["others"] == 0
    assert counts["accepted"] > 0
