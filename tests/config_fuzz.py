"""Feeds mutated recipes and overrides to the reader of recipes.

    python tests/config_fuzz.py --inputs 20000

Half of the inputs are files of the package with bytes changed or lines moved; the others are sound
files with overrides whose key or value is odd. Each must be a recipe, which can be written and read
again, or a sentence.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import fuzzing

from paddle_resnet.config import (
    all_keys,
    config_to_yaml,
    find_recipe,
    list_recipes,
    load_config,
)
from paddle_resnet.errors import ConfigError

SECONDS = 5
ODD = (
    "", "null", "~", "true", "no", "0", "-1", "1e400", "-.inf", ".nan", "9" * 400, "0x10", "1_000",
    "010", "1:30", "2001-01-01", "[]", "{}", "[[]]", "[1, a]", "{a: {b: c}}", "'", '"', "&a *a",
    "*a", "!!python/object/apply:os.getcwd []", "!!binary aGk=", "<<: {}", "{<<: 1}", "? a", "|",
    ">\n x", "- a", "%YAML 9.9", "\x00", "\x1b[2J", "\u202e", "\ud7ff", "a" * 10_000, "[" * 500,
    "{a: " * 200, "0.05 # comment", "10m", "5 steps", "-3m", "1e-4", "1e-4000", "../..", "a/b",
)  # fmt: skip


def damaged_file(chance: random.Random) -> bytes:
    """Return a recipe of the package, changed in one to four places."""
    content = find_recipe(chance.choice(list_recipes())).read_bytes()
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(content) + 1)
        lines = content.split(b"\n")
        line = chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0:
            content = content[:place] + chance.randbytes(chance.randrange(1, 5)) + content[place:]
        elif kind == 1:
            content = content[:place] + content[place + chance.randrange(1, 20) :]
        elif kind == 2:
            content = b"\n".join([*lines[:line], lines[line], *lines[line:]])
        elif kind == 3:
            indent = b" " * chance.randrange(6)
            content = b"\n".join([*lines[:line], indent + lines[line].strip(), *lines[line + 1 :]])
        elif kind == 4:
            key = lines[line].partition(b":")[0]
            value = chance.choice(ODD).encode("utf-8", "surrogatepass")
            content = b"\n".join([*lines[:line], key + b": " + value, *lines[line + 1 :]])
        else:
            content = content[:place]
        content = content or b"\n"
    return content


def odd_overrides(chance: random.Random) -> tuple[str, ...]:
    """Return one to three overrides with something odd in them."""
    made = []
    for _ in range(chance.randrange(1, 4)):
        key = chance.choice(all_keys())
        if chance.random() < 0.2:
            place = chance.randrange(len(key))
            key = (
                key[:place]
                + chance.choice(["", ".", "..", "x", "=", " ", "\x00"])
                + key[place + 1 :]
            )
        equals = "=" if chance.random() < 0.97 else ""
        made.append(key + equals + chance.choice(ODD))
    return tuple(made)


def fuzz(inputs: int, chance: random.Random, place: Path) -> dict[str, int]:
    """Read this many odd recipes; count what came of it."""
    path = place / "mutated.yaml"

    def feed(number: int) -> None:
        recipe, overrides = chance.choice(list_recipes()), ()
        if number % 2:
            overrides = odd_overrides(chance)
        else:
            path.write_bytes(damaged_file(chance))
            recipe = str(path)
        try:
            config = load_config(recipe, overrides)
            path.write_text(config_to_yaml(config), encoding="utf-8")
            assert load_config(path) == config, "it is read back as another recipe"
        except ConfigError:
            raise
        except Exception as error:
            given = overrides or path.read_bytes()
            raise RuntimeError(f"{type(error).__name__}: {error}: {given!r:.300}") from error

    return fuzzing.count(inputs, SECONDS, feed)


if __name__ == "__main__":
    sys.exit(fuzzing.main(__doc__, 20_000, fuzz))
