"""Feeds mutated recipes and overrides to the reader of recipes.

    python tests/config_fuzz.py --inputs 20000

Half of the inputs are files of the package with bytes changed or lines moved; the others are sound
files with overrides whose key or value is odd. Each must be a recipe, which can be written and read
again, or a sentence.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from paddle_resnet.config import _all_keys as all_keys
from paddle_resnet.config import (
    config_from_dict,
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
    counts = {"typed errors": 0, "accepted": 0, "others": 0}
    path = place / "mutated.yaml"

    def too_long(number: int, frame: Any) -> None:
        raise TimeoutError(f"longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for number in range(inputs):
            recipe, overrides = chance.choice(list_recipes()), ()
            if number % 2:
                overrides = odd_overrides(chance)
            else:
                path.write_bytes(damaged_file(chance))
                recipe = str(path)
            signal.alarm(SECONDS)
            try:
                config = load_config(recipe, overrides)
                path.write_text(config_to_yaml(config), encoding="utf-8")
                assert load_config(path) == config, "it is read back as another recipe"
                counts["accepted"] += 1
            except ConfigError as error:
                text = str(error)
                if "\n" in text or "\x1b" in text or "\x00" in text or len(text) > 2000:
                    counts["others"] += 1
                    print(f"input {number}: no sentence: {text[:200]!r}")
                counts["typed errors"] += 1
            except Exception as error:
                counts["others"] += 1
                given = overrides or damaged_head(path)
                print(f"input {number}: {type(error).__name__}: {str(error)[:200]}: {given!r:.300}")
            finally:
                signal.alarm(0)
    finally:
        signal.signal(signal.SIGALRM, before)
    return counts


def damaged_head(path: Path) -> bytes:
    """Return the beginning of the file that was read."""
    return path.read_bytes()[:300]


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config_from_dict({})
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as place:
        counts = fuzz(arguments.inputs, random.Random(arguments.seed), Path(place))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began
    print(
        f"inputs: {arguments.inputs}, typed errors: {counts['typed errors']}, accepted (the change "
        f"means something): {counts['accepted']}, others: {counts['others']}; "
        f"memory grew by {grown / 1024:.0f} MiB"
    )
    return 1 if counts["others"] else 0


if __name__ == "__main__":
    sys.exit(main())
