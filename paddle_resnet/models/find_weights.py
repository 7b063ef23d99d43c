"""From what a user names as a network to the file of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from ..errors import PATH_LIMIT, WeightsError, did_you_mean, for_display
from ..runs.seeds_folder import seeds_folder_error
from ..weights.pretrained import BY_NAME, bundled_weights, fetch_pretrained, published

#: What an exported folder holds; see `deploy/predictor.py`.
_EXPORTED = ("inference.json", "inference.pdmodel")


def find_weights_file(source: Union[str, Path], which: str = "best") -> Path:
    """Return the weights file of a run folder, or ``source`` itself where it is a file.

    The name of a network whose weights are in the package stands for them, unless there is a file
    or folder of that name; ``pretrained:NAME`` stands for them always, and for the weights that
    Paddle publishes of a name too.

    Raises:
        WeightsError: there is neither, the folder holds several runs, or the source is an exported
            file.
    """
    name, source = str(source), Path(source)
    shown = for_display(name, PATH_LIMIT)
    if name.startswith(BY_NAME):
        return fetch_pretrained(name[len(BY_NAME) :])
    if source.is_dir():
        for kind in (which, "best", "last"):
            if (source / f"{kind}.safetensors").is_file():
                return source / f"{kind}.safetensors"
        raise WeightsError(seeds_folder_error(source) or _no_run(source))
    if source.is_file():
        if source.suffix.lower() == ".onnx":
            raise WeightsError(
                f"'{shown}' is an exported file, expected the run folder or weights file that it "
                "was exported from."
            )
        return source
    if name in bundled_weights():
        return bundled_weights()[name]
    raise WeightsError(
        f"there is no run folder or weights file '{shown}', and the package holds weights of "
        f"{', '.join(bundled_weights())} only." + did_you_mean(name, bundled_weights())
    )


def published_name(source: Union[str, Path]) -> Optional[str]:
    """Return the name of a network whose weights Paddle publishes, where ``source`` means it."""
    name = str(source)
    is_explicit = name.startswith(BY_NAME)
    if is_explicit:
        name = name[len(BY_NAME) :]
    elif Path(source).exists():
        return None
    return name if name not in bundled_weights() and name in published() else None


def hint_at_name(source: Union[str, Path]) -> str:
    """Return how to name the weights of a network that a file or folder hides, or nothing.

    The leading space lets callers append it to a sentence.
    """
    name = str(source)
    if name not in bundled_weights() and name not in published():
        return ""
    return f" For the weights of the network of that name, write '{BY_NAME}{name}'."


def _no_run(folder: Path) -> str:
    """Return the sentences about a folder without weights: what it holds, and what is expected."""
    shown = for_display(folder, PATH_LIMIT)
    exported: list[Path] = sorted(folder.glob("*.onnx"))
    if any((folder / name).is_file() for name in _EXPORTED):
        exported.insert(0, folder)
    if exported:
        sentence = (
            f"the folder '{shown}' holds exported files, expected a run folder; "
            "`predict`, `evaluate` and `serve` take "
            f"'{for_display(exported[0], PATH_LIMIT)}'."
        )
    else:
        sentence = (
            f"the folder '{shown}' holds no best.safetensors or last.safetensors, expected the "
            "folder of a run that has finished an epoch."
        )
    return sentence + hint_at_name(folder)
