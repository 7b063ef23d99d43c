"""Sentences quote what a user gave, or what stands in a file, through `for_display` alone.

It makes a value printable and short. What this test finds in the source: values with ``!r``, and
entries of dicts, in the sentences of errors that a user can cause.
"""

import ast
from pathlib import Path

import pytest

from paddle_resnet.errors import UserError, for_display

PACKAGE = Path(__file__).parents[1] / "paddle_resnet"


def error_classes(trees):
    """The names of `UserError` and of all classes that come from it."""
    classes = [
        (node.name, {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases})
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    found, before = {"UserError"}, set()
    while found != before:
        before = set(found)
        found |= {name for name, bases in classes if bases & found}
    return found


def is_plain_quote(value):
    """Whether a placeholder of an f-string quotes a value as it is."""
    if value.format_spec is not None or isinstance(value.value, ast.Call):
        return False  # a number with its format; a function's result
    entry = isinstance(value.value, ast.Subscript) and isinstance(value.value.slice, ast.Constant)
    return value.conversion == ord("r") or (entry and isinstance(value.value.slice.value, str))


def plain_quotes(trees):
    """``file:line: expression`` of every value that a sentence quotes as it is."""
    errors = error_classes(trees)
    return [
        f"{path}:{value.lineno}: {ast.unparse(value.value)}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        if getattr(node.exc.func, "id", getattr(node.exc.func, "attr", "")) in errors
        for value in ast.walk(node.exc)
        if isinstance(value, ast.FormattedValue) and is_plain_quote(value)
    ]


def test_no_sentence_quotes_a_value_as_it_is():
    trees = {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert len(trees) > 150
    assert {"DataError", "CorruptCheckpoint", "PeerLost"} <= error_classes(trees)
    assert plain_quotes(trees) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('raise DataError(f"not {given!r}")', 1),
        ("raise WeightsError(f\"made with {state['kind']}\")", 1),
        ('raise NewError(\n    "a"\n    f"{x:,} of {head[\'format\']!r}"\n)', 1),
        ("raise ValueError(f\"not {given!r}, {state['kind']}\")", 0),  # nobody's sentence
        ('raise DataError(f"not {for_display(repr(given))}, {size:,} images")', 0),
        ("raise DataError(f\"{for_display(state['kind'])}\")", 0),
    ],
)
def test_what_it_finds(source, count):
    classes = "class DataError(UserError): ...\nclass WeightsError(UserError): ...\n"
    classes += "class NewError(DataError): ...\n"
    assert len(plain_quotes({"a.py": ast.parse(classes + source)})) == count


@pytest.mark.parametrize("value", ["a\nb\x1b[2J", "x" * 10_000, ["\x00"] * 500, float("nan"), None])
def test_what_is_quoted_is_printable_and_short(value):
    quoted = for_display(repr(value))
    assert quoted.isprintable()
    assert len(quoted) <= 103
    assert issubclass(UserError, Exception)
