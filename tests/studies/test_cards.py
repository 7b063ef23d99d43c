"""Every study has its texts in both languages, and its code keeps the contract."""

import inspect
import string
from pathlib import Path

import pytest
import yaml

import paddle_resnet.studies as room
from paddle_resnet.commands.study import _for
from paddle_resnet.errors import UserError
from paddle_resnet.studies import STUDIES, Study, find_study
from paddle_resnet.studies.cards import FOLDER
from paddle_resnet.studies.results.study_page import words
from paddle_resnet.studies.study_options import Options
from paddle_resnet.studies.texts import Text, choose_language


def texts(card):
    """All texts of a card, wherever they stand."""
    for value in vars(card).values():
        if isinstance(value, Text):
            yield value
        elif isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, Text))


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def is_chinese(text):
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("name", STUDIES)
def test_card_is_complete_in_both_languages(name):
    card = STUDIES[name].card
    assert 0 < card.seconds < card.seconds_full
    assert 0 < card.seeds <= card.seeds_full
    assert card.sources
    assert card.rules
    for text in texts(card):
        assert text.en
        assert text.zh
        assert placeholders(text.en) == placeholders(text.zh)
        assert not is_chinese(text.en)
    for text in (card.question, card.claim, card.procedure, card.finding, *card.notes):
        assert is_chinese(text.zh)


@pytest.mark.parametrize("name", STUDIES)
def test_experiment_keeps_the_contract(name):
    study = STUDIES[name]
    experiment = study.experiment
    assert experiment.VERSION >= 1
    assert set(experiment.FULL) <= set(experiment.SETTINGS)
    for function in ("measure", "judge", "table", "figure", "reference"):
        assert callable(getattr(experiment, function))
    assert getattr(room, name.replace("-", "_")) is study
    source = inspect.getsource(experiment)
    assert study.card.takes_seeds == ("context.seeds" in source)
    assert study.card.takes_model == ("trained_network(context" in source)


def test_every_card_and_every_experiment_has_a_study():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(STUDIES)
    modules = {path.stem for path in (FOLDER.parent / "experiments").glob("[a-z]*.py")}
    assert modules == {study.module or study.name for study in STUDIES.values()}


def test_words_of_pages_have_both_languages():
    raw = yaml.safe_load(
        (FOLDER.parent / "results" / "page_words.yaml").read_text(encoding="utf-8")
    )
    for key, both in raw.items():
        assert set(both) == {"en", "zh"}, key
        assert placeholders(both["en"]) == placeholders(both["zh"]), key
    assert words("zh")["holds"] == "成立"
    # jinja finds the methods of a dict before its keys.
    assert not set(raw) & set(dir(dict))


def test_seeds_and_another_network_go_to_the_studies_that_take_them():
    options = Options(seeds=3, settings={"images": 10})
    for name, study in STUDIES.items():
        found = _for(study, options, of_all=True)
        assert found.seeds == (3 if study.card.takes_seeds else None), name
        assert found.settings == options.settings
        assert _for(study, options, of_all=False) is options


def test_texts_have_no_machine_paths():
    for path in FOLDER.glob("*.yaml"):
        assert "/root" not in path.read_text(encoding="utf-8")


def test_names():
    assert all(isinstance(study, Study) for study in STUDIES.values())
    with pytest.raises(UserError, match=r"'telefone'.*Did you mean 'telephone'\?"):
        find_study("telefone")


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({}, "en"),
    ],
)
def test_language_is_the_locales(monkeypatch, variables, language):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert choose_language() == language
    assert choose_language("zh-CN") == "zh"
    with pytest.raises(UserError, match="'fr'"):
        choose_language("fr")


def test_the_list_needs_no_paddle():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['paddle'] = None; sys.argv = ['paddle-resnet', 'study'];"
        "from paddle_resnet.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    for name in STUDIES:
        assert name in done.stdout
