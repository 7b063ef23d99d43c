"""Old keys: read in the recipes of finished runs, and an error with the new name anywhere else."""

from pathlib import Path

import pytest
import yaml

from paddle_resnet.config import all_keys, config_to_dict, load_config
from paddle_resnet.config.renamed import RENAMED, translated
from paddle_resnet.errors import ConfigError

RESULTS = Path(__file__).parents[2] / "results"


def test_every_new_name_is_a_key_and_no_old_one_is():
    keys = set(all_keys())
    assert set(RENAMED.values()) <= keys
    assert not set(RENAMED) & keys
    assert len(set(RENAMED.values())) == len(RENAMED)


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_in_a_recipe_or_an_override_is_an_error_with_the_new_one(old, tmp_path):
    section, key = old.split(".")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"{section}:\n  {key}: 1\n")
    calls = [(recipe, ()), (None, (f"{old}=1",)), (None, (f"{section}={{{key}: 1}}",))]
    for file, overrides in calls:
        with pytest.raises(ConfigError, match=f"unknown key '{old}' .*'{RENAMED[old]}' now"):
            load_config(file, overrides)


def test_a_finished_runs_recipe_is_read_by_the_new_names(tmp_path):
    values = config_to_dict(load_config(overrides=("test.tta=flip", "train.grad_accum_steps=3")))
    for old, new in RENAMED.items():
        (section, key), (new_section, new_key) = old.split("."), new.split(".")
        values[section][key] = values[new_section].pop(new_key)
    del values["test"]  # a section that came later
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load_config(path)
    assert (config.test.tta, config.train.grad_accum_steps) == ("flip", 3)
    # Nobody changes a finished run's recipe by its old names.
    with pytest.raises(ConfigError, match=r"'train\.num_seeds' now"):
        load_config(path, ("train.runs=2",))


def test_the_values_that_are_translated_are_not_changed_in_place():
    values = {"train": {"runs": 2}, "augment": {"test_time": "flip"}, "data": None}
    assert translated(values) == {
        "train": {"num_seeds": 2}, "augment": {}, "data": None, "test": {"tta": "flip"}
    }  # fmt: skip
    assert values == {"train": {"runs": 2}, "augment": {"test_time": "flip"}, "data": None}


def test_a_new_name_beside_the_old_one_wins():
    assert translated({"train": {"runs": 2, "num_seeds": 3}}) == {"train": {"num_seeds": 3}}


@pytest.mark.parametrize(
    "path", sorted(RESULTS.glob("**/config.yaml")), ids=lambda path: path.parent.name
)
def test_every_recipe_of_the_results_is_read_with_the_values_it_has(path):
    config = config_to_dict(load_config(path, resolved=True))
    found = yaml.safe_load(path.read_text())
    checked = 0
    for section, keys in found.items():
        for key, value in keys.items():
            new_section, new_key = RENAMED.get(f"{section}.{key}", f"{section}.{key}").split(".")
            assert config[new_section][new_key] == value, (section, key)
            checked += 1
    assert checked > 30
