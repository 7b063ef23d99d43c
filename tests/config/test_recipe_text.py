"""A key whose value is a text takes what was typed, on the command line and in a file."""

import typing

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paddle_resnet.config import Config, config_to_yaml, load_config
from paddle_resnet.errors import ConfigError

#: Every key of the schema that is a text, by another way than the reader's: its default's type.
ABSENT = [
    *("model.pretrained", "model.pretrained_entry", "model.pretrained_prefix"),
    *("data.root", "run.name"),
]
TEXTS = ["model.name", "run.dir", *ABSENT]

LOOKS_LIKE = {
    "int": "2024",
    "int of a run": "20240101",
    "octal": "001",
    "octal as YAML 1.2 has it": "0o17",
    "hexadecimal": "0x10",
    "binary": "0b11",
    "underscores": "1_1_1",
    "negative": "-5",
    "float": "1.50",
    "exponent": "1e5",
    "infinity": ".inf",
    "not a number": ".nan",
    "date": "2024-05-01",
    "moment": "2024-05-01T12:30:00Z",
    "sexagesimal": "12:30",
    "sexagesimal of three": "1:30:00",
    "bool": "NO",
    "another bool": "true",
    "a third": "On",
    "other null": "~",
    "another null": "Null",
    "mapping": "{x}",
    "mapping of two": "{a: 1, b: 2}",
    "sequence": "[a]",
    "sequence and more": "[a] b",
    "half a sequence": "[a",
    "pair": "a: b",
    "at": "@x",
    "backtick": "`x`",
    "percent": "%x",
    "tag": "!x",
    "tag that runs": "!!python_name x",
    "alias": "*x",
    "anchor": "&x y",
    "question": "? x",
    "dash": "- x",
    "merge": "<<",
    "equals": "=",
    "equals within": "a=b",
    "quote within": "it's",
    "quote in front": '"x',
    "blanks within": "my  photos",
    "document": "--- x",
    "colon at the end": "x:",
    "Chinese": "猫",
    "emoji": "🐶",
}


def load(key, text):
    """Read a recipe of that key; what has an effect only beside weights comes with some."""
    beside = ("model.pretrained=x",) if key.startswith("model.pretrained_") else ()
    return load_config(None, (*beside, f"{key}={text}"))


def section_of(key, text):
    """The lines of a recipe with that key."""
    section, name = key.split(".")
    beside = "  pretrained: x\n" if name.startswith("pretrained_") else ""
    return f"{section}:\n{beside}  {name}: {text}\n"


def at(config, key):
    section, name = key.split(".")
    return getattr(getattr(config, section), name)


def read_back(config, tmp_path):
    """The recipe as a run's folder keeps it, read by us."""
    path = tmp_path / "config.yaml"
    path.write_text(config_to_yaml(config), encoding="utf-8")
    return load_config(path)


def test_these_are_all_texts_of_the_schema():
    found = {}
    for section, kind in typing.get_type_hints(Config).items():
        for name, hint in typing.get_type_hints(kind).items():
            parts = set(typing.get_args(hint)) or {hint}
            if parts <= {str, type(None)}:
                found[f"{section}.{name}"] = type(None) in parts
    assert found == {key: key in ABSENT for key in TEXTS}


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("text", LOOKS_LIKE.values(), ids=LOOKS_LIKE)
def test_on_the_command_line(key, text, tmp_path):
    config = load(key, text)
    assert at(config, key) == text
    assert at(read_back(config, tmp_path), key) == text


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("text", LOOKS_LIKE.values(), ids=LOOKS_LIKE)
@pytest.mark.parametrize("behind", ["", "  # a remark"])
def test_in_a_file(key, text, behind, tmp_path):
    path = tmp_path / "recipe.yaml"
    lines = f"train:\n  epochs: 3\n{section_of(key, text + behind)}augment:\n  cutmix: 1\n"
    path.write_text(lines, encoding="utf-8")
    config = load_config(path)
    assert at(config, key) == text
    assert (config.train.epochs, config.augment.cutmix) == (3, 1)


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("text", ["null", "2024", "a b", ""])
def test_quotes_around_it_are_taken_off(key, quote, text, tmp_path):
    if key == "run.name" and not text:
        pytest.skip("a folder's name is not empty")
    assert at(load(key, f"{quote}{text}{quote}"), key) == text
    (tmp_path / "r.yaml").write_text(section_of(key, f"{quote}{text}{quote}"))
    assert at(load_config(tmp_path / "r.yaml"), key) == text


@pytest.mark.parametrize("key", TEXTS)
def test_null_is_none_only_where_there_may_be_none(key, tmp_path):
    expected = None if key in ABSENT else "null"
    assert at(load(key, "null"), key) == expected
    section, name = key.split(".")
    (tmp_path / "r.yaml").write_text(f"{section}: {{{name}: null}}\n")
    assert at(load_config(tmp_path / "r.yaml"), key) == expected


@pytest.mark.parametrize("key", ABSENT)
def test_nothing_in_a_file_is_none(key, tmp_path):
    section, name = key.split(".")
    (tmp_path / "r.yaml").write_text(f"{section}:\n  {name}:\n")
    assert at(load_config(tmp_path / "r.yaml"), key) is None


def test_a_whole_section_in_one_override():
    config = load_config(None, ("model={name: resnet20, pretrained: 18}",))
    assert (config.model.name, config.model.pretrained) == ("resnet20", "18")


def test_blanks_around_the_equals_sign():
    assert load_config(None, ("data.root = 2024",)).data.root == "2024"
    assert load_config(None, ("data.root= 2024",)).data.root == " 2024"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
@example("\x1b[2J")
@example("\u2028")
@example("a\nb")
@example("\udcff".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
def test_any_text_survives_the_way_through_a_run_folder(text):
    if "\0" in text:
        with pytest.raises(ConfigError, match="NUL"):
            load_config(None, ("data.root='x\0'",))
        return
    if text == "null" or (text[0] == text[-1] and text[0] in "\"'"):
        return
    config = load_config(None, (f"data.root={text}",))
    assert config.data.root == text
    # By YAML itself, as any other program reads a run's recipe.
    assert yaml.safe_load(config_to_yaml(config))["data"]["root"] == text


def test_a_name_that_the_file_system_has_in_another_encoding(tmp_path):
    text = b"photos-\xff".decode("utf-8", "surrogateescape")
    config = load_config(None, (f"data.root={text}",))
    assert at(read_back(config, tmp_path), "data.root") == text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("optimizer.name=1e3", "'1e3'"),
        ("optimizer.name=2024-05-01", "'2024-05-01'"),
        ("data.name=12:30", "'12:30'"),
        ("train.resume=NO", "'NO'"),
        ("schedule.interval=~", "'~'"),
    ],
)
def test_a_choice_is_refused_as_it_was_typed(given, said):
    with pytest.raises(ConfigError) as caught:
        load_config(None, (given,))
    assert f"is {said} in" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "value"),
    [("010", 10), ("1_000", 1000), ("0x10", 16), ("0b11", 3), ("+7", 7), ("00", None)],
)
def test_whole_numbers_are_read_as_people_read_them(given, value):
    if value is None:
        with pytest.raises(ConfigError):
            load_config(None, (f"train.epochs={given}",))
    else:
        assert load_config(None, (f"train.epochs={given}",)).train.epochs == value


@pytest.mark.parametrize(
    ("given", "value"), [("1e-3", 1e-3), (".5", 0.5), ("1.", 1.0), ("1E2", 100.0), ("2_0.5", 20.5)]
)
def test_numbers_are_numbers(given, value):
    assert load_config(None, (f"optimizer.lr={given}",)).optimizer.lr == value


@pytest.mark.parametrize("given", ["train.epochs=1:30", "optimizer.lr=1:30", "train.budget=1:30"])
def test_base_60_is_no_number(given):
    with pytest.raises(ConfigError, match="'1:30'"):
        load_config(None, (given,))


@pytest.mark.parametrize("text", ["@x", "a: b", "[a", "*x", '"x'])
def test_what_is_no_text_still_has_to_be_yaml(text, tmp_path):
    (tmp_path / "r.yaml").write_text(f"train:\n  epochs: {text}\n")
    with pytest.raises(ConfigError, match=r"is no valid YAML in line [23]"):
        load_config(tmp_path / "r.yaml")
