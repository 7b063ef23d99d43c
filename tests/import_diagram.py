"""Prints the rooms of the package, floor by floor, with their sizes and imports.

Rooms, floors and imports are those that `test_architecture.py` checks.

    python tests/import_diagram.py
"""

from __future__ import annotations

from collections import Counter

from test_architecture import FLOORS, NAMES, PACKAGE, edges

#: Of the files whose lines are counted: Python, C++, templates and scripts.
KINDS = {".py", ".cc", ".h", ".j2", ".css", ".js", ".html"}


def arrows() -> Counter[tuple[str, str]]:
    """Return how many files of the first room import the second; the root is none."""
    rooms = ((own.split("/")[0], other.split("/")[0]) for own, other in edges() if own and other)
    return Counter(pair for pair in rooms if pair[0] != pair[1])


def upward() -> list[tuple[str, str]]:
    """Return the arrows that do not lead to a lower floor; floor 0 is one room."""
    floors = {pair: tuple(FLOORS[room] for room in pair) for pair in arrows()}
    return [pair for pair, (own, other) in floors.items() if own <= other and (own or other)]


def lines_by_room() -> Counter[str]:
    """Return the lines of each room."""
    lines: Counter[str] = Counter()
    for path in PACKAGE.rglob("*"):
        if path.suffix in KINDS:
            room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
            lines[room] += len(path.read_text(encoding="utf-8").splitlines())
    return lines


def main() -> None:
    """Run from the command line."""
    sizes, between = lines_by_room(), arrows()
    total = sum(sizes.values())
    files = Counter(own.split("/")[0] for own in NAMES)
    for floor in sorted(set(FLOORS.values()), reverse=True):
        for room in (each for each, number in FLOORS.items() if number == floor):
            below = ", ".join(f"{b} {n}" for (a, b), n in sorted(between.items()) if a == room)
            print(f"{floor:>3} {room:<13} {files[room]:>3} files {sizes[room]:>6,} lines  {below}")
    room, most = max(((r, n) for r, n in sizes.items() if r in FLOORS), key=lambda each: each[1])
    lengths = {own: len(path.read_text("utf-8").splitlines()) for own, path in NAMES.items()}
    longest = max(lengths, key=lengths.__getitem__)
    print(f"{len(FLOORS)} rooms and files on {len(set(FLOORS.values()))} floors")
    print(f"{len(between)} arrows between them by {sum(between.values())} imports")
    print(f"{len(upward())} arrows lead upward")
    print(f"largest room: {room}, {most / total:.1%} of {total:,} lines")
    print(f"longest Python file: {longest}.py, {lengths[longest]} lines")


if __name__ == "__main__":
    main()
