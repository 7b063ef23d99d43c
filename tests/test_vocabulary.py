"""Names, comments, docstrings, sentences and documents use the words of docs/glossary.md.

Identifiers are found by `ast`, comments by `tokenize`, strings by `ast`; C++, templates and
documents are read as text. RESULTS.md, results/ and CHANGELOG.md are evidence: they stay as they
were written.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "paddle_resnet"

#: Words that no class, function, argument, attribute or variable is named with.
NAMES = {
    *("pace", "look", "looks", "told", "tell", "tells", "hear", "heard", "say", "says", "wish"),
    *("harmless", "sound", "unsound", "damaged", "nonsense", "figures", "maps", "forms"),
    *("picture", "pictures"),
}
#: Names of the former vocabulary (the glossary has the present ones).
FORMER = {
    *("Pace", "EpochPace", "BudgetPace", "Saver", "Record", "Console", "Visualise", "StopWish"),
    *("Interrupted", "DamagedCheckpoint", "RunningStatistics", "WeightAverage", "EpochProgress"),
    *("TrainingStream", "GrowingImages", "MixedCrossEntropy", "MixedAccuracy", "Rates", "Outcome"),
    *("SameImages", "Listing", "Memory", "Mixed", "Contents", "StandIn", "Trained"),
    *("add_up", "in_any", "from_first", "first_alone", "is_first", "interleaved", "added_up"),
    *("load_parts", "open_listing", "find_damaged", "without_damaged", "centre_box", "random_box"),
    *("add_part", "run_part", "maps_in", "for_others", "as_now", "takes_bfloat16", "why_never"),
    *("load_state", "keep_predictions", "run_with_seeds", "train_for", "confident_mistakes"),
}
#: Words of texts, with the glossary's word for each.
TEXTS = {
    "pace": r"\bpaces?\b",  # progress, speed
    "look": r"\b(?:a|the|each|every|this|that) looks?\b",  # evaluation
    "told": r"\b(?:told|tells?|hears?|heard)\b",  # given, log, decide
    "goes on": r"\b(?:go|goes|going|gone|went) on\b",  # resume, continue
    "no number": r"\bno numbers?\b",  # non-finite
    "numbers": r"\b(?:half|8-bit|16-bit|32-bit) numbers\b",  # dtype
    "map": r"(?<!heat )(?<!heat-)(?<!::)(?<!<)\bmaps?\b(?!\()",  # activation
    "forms": r"\bforms\b",  # transforms, formats
    "figures": r"\bfigures\b",  # metrics; a figure is a drawing
    "sound": r"\b(?:un)?sound\b",  # valid, corrupt
    "damaged": r"\bdamaged\b",  # corrupt
    "harmless": r"\bharmless\b",  # inert, ignorable
    "wish": r"\bwish(?:es|ed)?\b",  # interrupt, choice
    "picture": r"\bpictures?\b",  # image, diagram
    "by us": r"\bby us\b",  # fused
    "plain way": r"\bplain way\b",  # fallback
    "side path": r"\bside paths?\b",  # shortcut
}
PATTERNS = {word: re.compile(pattern, re.IGNORECASE) for word, pattern in TEXTS.items()}

#: (file, word) that stay, each with its reason.
ALLOWED = {
    ("paddle_resnet/config/renamed.py", "damaged"): "a former recipe key",
    ("paddle_resnet/cpu_runtime.py", "map"): "Linux's /proc/self/maps",
    ("paddle_resnet/data/folder/folder_layout.py", "picture"): "names of users' folders",
    ("paddle_resnet/data/folder/list_columns.py", "picture"): "a column of users' lists",
    ("paddle_resnet/studies/experiments/saliency.py", "map"): "keys of stored results",
    ("docs/glossary.md", "*"): "it names the words",
}


def python_texts(source):
    """Yield the comments and strings of Python source."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def python_names(source):
    """Yield the names that Python source defines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def rejected_words(path, source):
    """Return the glossary's rejected words that a file's names and texts have."""
    if path.suffix != ".py":
        return {word for word, pattern in PATTERNS.items() if pattern.search(source)}
    names = set(python_names(source))
    parts = {part.lower() for n in names for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", n)}
    texts = "\n\n".join(python_texts(source))
    found = {word for word, pattern in PATTERNS.items() if pattern.search(texts)}
    return found | {f"name {word}" for word in (parts & NAMES) | (names & FORMER)}


def files():
    """Return the files whose words are checked."""
    kinds = {".py", ".cc", ".h", ".j2", ".css", ".js"}
    return [
        *(path for path in sorted(PACKAGE.rglob("*")) if path.suffix in kinds),
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "configs").glob("*.yaml")),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "setup.py")),
    ]


def test_the_words_of_the_glossary_are_used():
    found = {}
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if (name, "*") not in ALLOWED:
            words = rejected_words(path, path.read_text(encoding="utf-8"))
            words -= {word for file, word in ALLOWED if file == name}
            if words:
                found[name] = sorted(words)
    assert len(files()) > 250
    assert found == {}


@pytest.mark.parametrize(("name", "word"), [key for key in ALLOWED if key[1] != "*"])
def test_what_is_allowed_is_still_there(name, word):
    path = ROOT / name
    assert word in rejected_words(path, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("told = 1", "name told"),
        ("class TellUser: ...", "name tell"),
        ("def f(unsound): ...", "name unsound"),
        ("x.maps = 1", "name maps"),
        ("class BudgetPace: ...", "name pace"),
        ("def add_up(): ...", "name add_up"),
        ("# it goes on", "goes on"),
        ('"""Maps between blocks."""', "map"),
        ('raise ValueError(f"{x} is damaged")', "damaged"),
    ],
)
def test_each_kind_of_place_is_read(source, word):
    assert word in rejected_words(Path("x.py"), source)


def test_heat_maps_and_calls_of_map_are_no_activations():
    assert (
        rejected_words(Path("x.py"), "# a heat map\ny = list(map(str, x))\n# by map()\n") == set()
    )
