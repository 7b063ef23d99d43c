"""The house stands: rooms, floors, what may import what. The diagram is in docs/architecture.md."""

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "paddle_resnet"
CSRC = PACKAGE / "kernels" / "csrc"

#: Rooms and single files; a file imports from lower floors and from its own room.
FLOORS = {
    "errors": 0,
    "version": 0,
    "interrupts": 0,
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
    "deploy": 8,
    "studies": 8,
    "commands": 9,
    "cli": 10,
    "__main__": 11,
}
#: Inside rooms: files and inner rooms, lowest first; those of one line do not import each other.
#: ``*`` is whatever no line names.
INNER = {
    "training": [
        ["loop", "signals"],
        ["callbacks", "checkpointer"],
        ["paddle_compat", "setup", "run_result"],
        ["image_classifier"],
        ["trainer", "timed_training"],
        ["multi_seed"],
    ],
    "training/loop": [
        ["state_values", "accumulation", "losses", "nan_guard", "seeding", "stateful"],
        ["speed", "epoch_means", "batch_stream"],
        ["progress"],
        ["time_budget", "progressive_resizing"],
        ["train_state"],
        ["callback"],
        ["step"],
        ["training_loop"],
    ],
    "data": [
        ["augment", "stratified_split", "prefetch", "channel_stats"],
        ["folder", "cifar"],
        ["loader"],
        ["splits"],
    ],
    "deploy": [
        ["manifest"],
        ["onnx_file", "paddle_folder", "demo"],
        ["runtimes"],
        ["predictor"],
        ["source"],
        ["exporting", "service"],
        ["*"],
    ],
    "studies": [
        ["texts", "shared", "drawing"],
        ["cards"],
        ["results", "context"],
        ["study_options", "mini_networks", "studied_network"],
        ["experiments", "runner"],
        ["study"],
        ["catalog"],
        ["stored_result"],
    ],
    "studies/experiments": [
        [
            "auxiliary",
            "decay",
            "degradation",
            "depth_use",
            "identity",
            "landscape",
            "lesion",
            "paths",
            "pointwise",
            "saliency",
            "shattering",
            "shortcut_variants",
            "signal",
            "telephone",
        ]
    ],
    "kernels": [
        ["algorithm_choice", "create_graph", "compiler"],
        ["build"],
        ["activations", "profile"],
        ["*"],
        ["backend_report"],
    ],
}
#: Imports that the tables above would allow, and that are not made: (who, whom), files or rooms.
NEVER = [
    ("training/trainer", "training/image_classifier"),
    ("training/timed_training", "training/image_classifier"),
    ("training/trainer", "training/paddle_compat"),
    ("training/timed_training", "training/paddle_compat"),
    ("training/setup", "training/paddle_compat"),
]
#: ``__init__.py`` files that define names of their own: the root's are loaded on first use, as is
#: `data.Cifar10`; kernels has its mode; studies has a name for each row of its catalog.
WITH_CODE = {"", "data", "kernels", "studies"}


FILES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    """``training/loop/step`` of a file; a room for its ``__init__.py``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name(path): path for path in FILES}


def imports(path: Path) -> set[str]:
    """The files and rooms of the package that a file imports, absolutely, relatively or late."""
    package = ("paddle_resnet", *path.relative_to(PACKAGE).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            # A module out of a package, or a name out of either.
            targets = [
                [*base, alias.name] if "/".join([*base[1:], alias.name]) in NAMES else base
                for alias in node.names
            ]
        else:
            continue
        found |= {"/".join(t[1:]) for t in targets if t and t[0] == "paddle_resnet"}
    return found


@functools.cache
def edges() -> list[tuple[str, str]]:
    """Pairs of a file and what it imports; every worker collects this file, one runs it."""
    return sorted((own, other) for own, path in NAMES.items() for other in imports(path))


def is_in(own: str, room: str) -> bool:
    return own == room or own.startswith(f"{room}/")


def level(own: str, table: list[list[str]], room: str) -> int:
    inner = own[len(room) + 1 :].split("/")[0]
    for number, line in enumerate(table):
        if inner in line:
            return number
    return next((number for number, line in enumerate(table) if "*" in line), -1)


def test_there_is_something_to_look_at():
    assert len(FILES) > 150
    assert len(edges()) > 500
    assert ("models/resnet", "layers/blocks") in edges()
    assert ("commands/train", "training/trainer") in edges()  # late


def test_every_room_has_a_floor_and_every_floor_a_room():
    assert {own.split("/")[0] for own in NAMES if own} == set(FLOORS)


def test_the_diagram_of_the_document_has_these_floors():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    diagram = text.partition("\npaddle_resnet/\n")[2].partition("```")[0]
    drawn = {}
    for number, line in re.findall(r"^ *(\d+) (.*)$", diagram, re.MULTILINE):
        for word in re.match(r"(?:\w+(?:/|\.py)(?:\s+|$))+", line)[0].split():
            drawn[word.removesuffix("/").removesuffix(".py")] = int(number)
    assert drawn.pop("__init__") == max(FLOORS.values()) - 1
    assert drawn == FLOORS


def test_imports_lead_downward():
    upward = {
        (own, other)
        for own, other in edges()
        if own and other and own.split("/")[0] != other.split("/")[0]
        if FLOORS[own.split("/")[0]] <= FLOORS[other.split("/")[0]]
        if not FLOORS[own.split("/")[0]] == FLOORS[other.split("/")[0]] == 0
    }
    assert upward == set()


def test_nobody_imports_the_root():
    scripts = "benchmark/framework_scripts/"  # run on their own, as a user's would be
    assert [own for own, other in edges() if not other and not own.startswith(scripts)] == []


@pytest.mark.parametrize("room", INNER)
def test_imports_inside_a_room_lead_downward(room):
    table = INNER[room]
    assert [
        f"{own} imports {other}"
        for own, other in edges()
        if is_in(own, room) and is_in(other, room) and room not in (own, other)
        if own[len(room) + 1 :].split("/")[0] != other[len(room) + 1 :].split("/")[0]
        if level(own, table, room) <= level(other, table, room)
    ] == []


@pytest.mark.parametrize("room", INNER)
def test_every_file_of_a_room_has_a_line_and_every_line_a_file(room):
    inside = {n[len(room) + 1 :].split("/")[0] for n in NAMES if n.startswith(f"{room}/")}
    listed = {inner for line in INNER[room] for inner in line}
    assert listed - {"*"} <= inside
    if "*" not in listed:
        assert inside <= listed


@pytest.mark.parametrize(("own", "other"), NEVER)
def test_imports_that_are_never_made(own, other):
    made = {(a, b) for a, b in edges() if is_in(a, own) and is_in(b, other)}
    assert made == set()


def test_only_the_paddle_model_needs_what_is_for_it():
    needs = {own for own, other in edges() if is_in(other, "training/paddle_compat")}
    assert {n for n in needs if not is_in(n, "training/paddle_compat")} == {
        "training", "training/image_classifier"
    }  # fmt: skip


def test_the_loop_does_not_know_paddles_model_nor_its_callbacks():
    for own, path in NAMES.items():
        if is_in(own, "training/loop"):
            code = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
            code = re.sub(r'"""(?s:.*?)"""', "", code)
            assert not re.search(r"paddle\.(Model|callbacks|hapi)\b", code), own


def test_no_two_files_bear_one_name():
    taken: dict[str, str] = {}
    for own, path in NAMES.items():
        if path.name != "__init__.py" and not is_in(own, "commands"):
            assert path.name not in taken, f"{own} and {taken[path.name]}"
            taken[path.name] = own


def test_rooms_define_nothing_in_their_init():
    for own, path in NAMES.items():
        if path.name == "__init__.py" and own not in WITH_CODE:
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                export = isinstance(node, (ast.Assign, ast.AugAssign)) and "__all__" in ast.dump(
                    node
                )
                assert docstring or export or isinstance(node, (ast.Import, ast.ImportFrom)), own


def test_no_file_is_long_and_no_folder_full():
    for own, path in NAMES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 400, f"{own}: {lines} lines"
    for folder in {path.parent for path in FILES}:
        room = str(folder.relative_to(PACKAGE))
        files = [path for path in folder.iterdir() if path.suffix == ".py"]
        assert len(files) <= 20, f"{room}: {len(files)} files"


def test_no_room_is_too_large():
    """At most 15 % of the lines of Python, C++, templates and scripts."""
    kinds = {".py", ".cc", ".h", ".j2", ".css", ".js", ".html"}
    lines: Counter[str] = Counter()
    for path in PACKAGE.rglob("*"):
        if path.suffix in kinds:
            room = path.relative_to(PACKAGE).parts[0]
            lines[room] += len(path.read_text(encoding="utf-8").splitlines())
    share = {room: count / sum(lines.values()) for room, count in lines.most_common()}
    assert share["training"] > 0.05
    assert {room: f"{each:.1%}" for room, each in share.items() if each > 0.15} == {}


def test_paddle_does_not_reach_into_the_arithmetic():
    """Only tensors.{h,cc} include Paddle's headers, only *_op.cc include tensors.h and register."""
    includes = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
    files = [path for path in CSRC.iterdir() if path.suffix in (".cc", ".h")]
    assert len(files) > 20
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = includes.findall(text)
        if path.stem != "tensors":
            assert not [each for each in found if each.startswith("paddle/")], path.name
        if not path.name.endswith("_op.cc") and path.stem != "tensors":
            assert "tensors.h" not in found, path.name
            assert "PD_BUILD_" not in text, path.name


def test_no_python_among_the_cpp_files():
    assert not list(CSRC.glob("*.py"))
