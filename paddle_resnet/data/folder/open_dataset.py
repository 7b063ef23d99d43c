"""A data set of image files, whatever says which they are."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from ...errors import DataError
from .class_folders import read_folder
from .dataset_index import DatasetIndex
from .label_list import is_label_list, read_label_list


def open_dataset(root: Union[str, Path]) -> DatasetIndex:
    """List the images of a folder or of lists.

    Raises:
        DataError: there is none of them at ``root``.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise DataError(f"there is no folder or list '{root}'.")
    return read_label_list(path) if is_label_list(path) else read_folder(path)
