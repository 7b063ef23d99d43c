"""Lines of code of the networks here and in other toolkits, family by family.

    python tests/models/lines_of_code.py

Counted are lines that hold code: no blank lines, comments or docstrings. Those of torchvision and
timm are shown where PADDLE_RESNET_TORCH_PYTHON names a Python that has them; nothing is imported.
"""

import ast
import io
import os
import subprocess
import sys
import tokenize
from pathlib import Path

OURS = Path(__file__).parents[2] / "paddle_resnet"
LAYERS = "activation blocks conv_bn lookup recompute shortcuts squeeze_excitation stems"
LAYERS = [f"layers/{name}.py" for name in [*LAYERS.split(), "stochastic_depth", "style"]]
CLASS = {
    "paddle_resnet": ["layers/blocks.py", "models/resnet.py", "models/zoo.py"],
    "paddle": ["vision/models/resnet.py"],
    "torchvision": ["models/resnet.py"],
    "timm": ["models/resnet.py"],
}
#: What else the same options take: feature maps, SE, stochastic depth, pre-activation.
TORCHVISION = ["models/feature_extraction.py", "ops/misc.py", "ops/stochastic_depth.py"]
TIMM = ["models/resnetv2.py", "models/_features.py", "layers/drop.py", "layers/squeeze_excite.py"]
#: {family: {toolkit: files}}
FAMILIES = {
    "ResNet: class, blocks, rows": CLASS,
    "ResNet: with its layers": {
        "paddle_resnet": [*LAYERS, *(f"models/{n}.py" for n in ("network", "resnet", "zoo"))],
        "paddle": CLASS["paddle"],
        "torchvision": [*CLASS["torchvision"], *TORCHVISION],
        "timm": [*CLASS["timm"], *TIMM],
    },
    "GoogLeNet": {
        "paddle_resnet": ["layers/inception.py", "models/googlenet.py"],
        "paddle": ["vision/models/googlenet.py"],
        "torchvision": ["models/googlenet.py"],
    },
    "network in network": {"paddle_resnet": ["models/nin.py"]},
    "registry, counts": {
        "paddle_resnet": ["models/registry.py", "models/counting.py"],
        "torchvision": ["models/_api.py"],
        "timm": ["models/_registry.py"],
    },
}
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    tokenize.ENDMARKER,
}


def code_lines(source, without=lambda node: False):
    """How many lines hold code; ``without`` leaves out whole definitions."""
    texts = set()
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text or without(node):
            texts |= set(range(node.lineno, node.end_lineno + 1))
    held = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            held |= set(range(token.start[0], token.end[0] + 1))
    return len(held - texts)


def is_table_of_weights(node):
    """torchvision lists its published weights in classes of this name, between the networks."""
    return isinstance(node, ast.ClassDef) and node.name.endswith("_Weights")


def folder(toolkit):
    """Where a toolkit's files are, or None."""
    if toolkit == "paddle_resnet":
        return OURS
    python = sys.executable
    if toolkit != "paddle":
        python = os.environ.get("PADDLE_RESNET_TORCH_PYTHON")
    if not python:
        return None
    find = f"import importlib.util as u; s = u.find_spec({toolkit!r}); print(s.origin if s else '')"
    said = subprocess.run([python, "-c", find], capture_output=True, text=True).stdout.strip()
    return Path(said).parent if said else None


def main():
    toolkits = {name: folder(name) for name in CLASS}
    print(f"{'family':28}" + "".join(f"{name:>16}" for name in toolkits))
    for family, files in FAMILIES.items():
        cells = []
        for name, home in toolkits.items():
            sources = [(home / file).read_text() for file in files.get(name, ()) if home]
            lines = sum(code_lines(source) for source in sources)
            bare = sum(code_lines(source, is_table_of_weights) for source in sources)
            cells.append(f"{lines:,}" + (f" ({bare:,})" if bare < lines else "") if lines else "-")
        print(f"{family:28}" + "".join(f"{cell:>16}" for cell in cells))
    print("\nIn brackets: without torchvision's tables of published weights.")


if __name__ == "__main__":
    main()
