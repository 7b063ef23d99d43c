"""The trained networks inside the package, trained on CIFAR-10: where they are."""

from __future__ import annotations

from pathlib import Path

#: A file per network, as its run wrote it; README.md there says which command that was.
FOLDER = Path(__file__).parent / "cifar10"


def bundled_weights() -> dict[str, Path]:
    """Return the names of the networks whose weights are in the package, and the files."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
