"""All ranks resume from the same checkpoint, or none does."""

from __future__ import annotations

from typing import Callable, Optional

from ..distributed.collectives import any_rank, broadcast_from_rank0, rank
from ..errors import TrainingError, WeightsError
from .checkpoint_file import Checkpoint, load_checkpoint
from .checkpoint_folder import CheckpointFolder


def newest_on_all_ranks(
    checkpoints: CheckpointFolder, warn: Callable[[str], None]
) -> Optional[Checkpoint]:
    """Return the checkpoint that :meth:`CheckpointFolder.newest` finds on rank 0, on every rank.

    Raises:
        CorruptCheckpoint: there are some, and none can be used.
        TrainingError: a rank reads another content than rank 0, or none; on every rank.
    """
    found: list[Checkpoint] = []

    def find() -> Optional[dict[str, str]]:
        checkpoint = checkpoints.newest(warn)
        if checkpoint is None:
            return None
        found.append(checkpoint)
        return {"name": checkpoint.path.name, "sha256": checkpoint.sha256}

    chosen = broadcast_from_rank0(find)
    if chosen is None:
        return None
    path, problem = checkpoints.folder / chosen["name"], ""
    try:
        checkpoint = found[0] if found else load_checkpoint(path)
        if checkpoint.sha256 != chosen["sha256"]:
            problem = f"rank {rank()} reads another checkpoint '{path}' than rank 0."
    except WeightsError as error:
        problem = f"rank {rank()} cannot read what rank 0 resumes from: {error}"
    if any_rank(bool(problem)):
        raise TrainingError(
            (problem or f"another rank reads another checkpoint than '{path}', or none.")
            + " All ranks must see the same run folder."
        )
    return checkpoint
