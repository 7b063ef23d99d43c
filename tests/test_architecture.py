"""The house stands: every file imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "paddle_resnet"

#: As drawn in docs/architecture.md.
FLOORS = {
    "errors": 0,
    "runtime": 0,
    "files": 0,
    "seed_folders": 0,
    "hooks": 0,
    "downloads": 0,
    "kernels": 0,
    "safe_pickle": 0,
    "pickled_arrays": 0,
    "config_effects": 0,
    "layers": 1,
    "data": 1,
    "config": 1,
    "models": 2,
    "weights": 3,
    "training": 4,
    "analysis": 5,
    "deploy": 5,
    "commands": 6,
    "cli": 7,
    "__main__": 8,
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


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_downward(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for room in rooms_imported(path) & set(FLOORS) - {own}:
        assert FLOORS[room] < FLOORS[own] or (FLOORS[room] == FLOORS[own] == 0), (
            f"{own} (floor {FLOORS[own]}) imports {room} (floor {FLOORS[room]})"
        )


def test_every_floor_of_the_picture_exists():
    assert {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES} == set(FLOORS)
    for room in FLOORS:
        assert (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()
    assert len(FILES) > 20
