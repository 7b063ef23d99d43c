"""Every module of the package can be the first one that is imported, with Paddle and without.

A circle of imports shows only from some of its modules, so that each is imported alone: in a fork
of a process that holds Paddle, or one in which Paddle cannot be found, and the package's root.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "paddle_resnet"

CHILD = """
import gc, importlib, importlib.machinery, json, os, sys, traceback
from pathlib import Path

ROOT_HAS = json.loads(sys.argv[2])

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "paddle":
            raise ModuleNotFoundError("No module named 'paddle'", name="paddle")

if sys.argv[1] == "without":
    sys.meta_path.insert(0, Missing())
import paddle_resnet
if sys.argv[1] == "with":
    paddle_resnet.cpu_runtime.import_paddle()
# Not again in every fork: what others have written, and the compilation of what is imported there.
others = "numpy pydantic.dataclasses yaml jinja2 PIL.Image safetensors.numpy tqdm"
for other in f"{others} pydantic.main difflib pickletools".split():
    importlib.import_module(other)
package = Path(paddle_resnet.__file__).parent
compiled = {
    str(path): compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    for path in package.rglob("*.py")
}
loader = importlib.machinery.SourceFileLoader
plain = loader.get_code
loader.get_code = lambda self, name: compiled.get(self.path) or plain(self, name)
gc.disable()  # a collection writes to each object, and a fork then copies its page
gc.freeze()
for module in json.loads(sys.stdin.read()):
    assert module not in sys.modules or module in ROOT_HAS, module
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(module)
        except BaseException:
            print(f"{module}:\\n{traceback.format_exc()}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print("end")
"""

#: Floors 0 and 1, recipes, pages and the command line answer where Paddle is missing.
WITHOUT_PADDLE = (
    *("errors", "version", "cpu_runtime", "interrupts", "io", "formatting", "stats", "config"),
    *("pages", "cli", "commands"),
)
ROOT_HAS = {f"paddle_resnet.{name}" for name in ("cpu_runtime", "interrupts", "version")}


def modules() -> list[str]:
    found = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        # Scripts, which run when they are imported.
        if parts[-1] != "__main__" and "framework_scripts" not in parts[:-1]:
            found.append(".".join(parts))
    return sorted(set(found) - {"paddle_resnet"} - ROOT_HAS)


def failures(paddle: str, names: list[str]) -> str:
    random.shuffle(names)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, paddle, json.dumps(sorted(ROOT_HAS))],
        input=json.dumps(names),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.endswith("end\n"), done.stderr
    return done.stdout[: -len("end\n")]


def test_every_module_imports_alone():
    names = modules()
    assert len(names) > 150
    assert failures("with", names) == ""


def test_modules_that_serve_without_paddle_import_without_it():
    names = [name for name in modules() if name.split(".")[1] in WITHOUT_PADDLE]
    assert len(names) > 30
    assert failures("without", names) == ""


def test_the_test_would_see_a_failure():
    assert "No module named 'paddle'" in failures("without", ["paddle_resnet.layers.conv_bn"])


@pytest.mark.parametrize("command", [["--help"], ["train", "--help"], ["doctor"]])
def test_the_command_line_answers_without_paddle(command):
    script = CHILD.partition("# Not again")[0] + (
        f"from paddle_resnet.cli import main; sys.exit(main({command!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "without", "[]"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stderr
    assert "paddle" in done.stdout.lower()
