"""The house stands: every file imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "paddle_resnet"

#: As drawn in docs/architecture.md.
FLOORS = {
    "errors": 0,
    "version": 0,
    "cpu_runtime": 0,
    "io": 1,
    "formatting": 1,
    "stats": 1,
    "config": 2,
    "kernels": 2,
    "pages": 2,
    "layers": 3,
    "data": 3,
    "distributed": 3,
    "optim": 3,
    "weights": 4,
    "runs": 4,
    "models": 5,
    "evaluation": 6,
    "training": 7,
    "report": 8,
    "compare": 8,
    "benchmark": 8,
    "studies": 8,
    "commands": 9,
    "cli": 10,
    "__main__": 11,
}
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def rooms_imported(path: Path) -> set[str]:
    """The package's top-level rooms that a file imports, absolutely or relatively."""
    parts = ("paddle_resnet", *path.relative_to(PACKAGE).with_suffix("").parts)
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            target = base + (node.module.split(".") if node.module else [])
            names = [".".join(target)]
            if target == ["paddle_resnet"]:
                names = [f"paddle_resnet.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {n.split(".")[1] for n in names if n.startswith("paddle_resnet.")}
    return rooms


#: Imports that still lead upward: file, room.
UPWARD = {
    ("data/splits.py", "distributed"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_downward(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    upward = {
        room for room in rooms_imported(path) & set(FLOORS) - {own} if FLOORS[room] >= FLOORS[own]
    }
    known = {room for file, room in UPWARD if file == str(path.relative_to(PACKAGE))}
    assert upward == known, f"{own} stands on floor {FLOORS[own]}"


def test_every_floor_of_the_picture_exists():
    assert {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES} == set(FLOORS)
    for room in FLOORS:
        assert (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()
    assert len(FILES) > 20
